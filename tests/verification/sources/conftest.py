from tests.test_stationary import call

__all__ = ["call"]
