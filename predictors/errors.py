"""The predictors' error."""


class PredictorError(ValueError):
    """A predictor cannot work with what came; the message names the argument, what came and what is legal."""
