"""`nas bench`: this project's claims as commands that anyone can run."""
