"""The contract that every operator passes: builds, slices, equals independent references, costs what it says, deploys."""

from nas.conformance.suite import CHECKS, Outcome, check_operator

__all__ = ["CHECKS", "Outcome", "check_operator"]
