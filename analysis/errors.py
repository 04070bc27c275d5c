"""The one exception that a user can cause."""


class InputError(ValueError):
    """A user's mistake, told in one line: what is wrong, where, and what is allowed.

    The command line prints it and exits with 2; notebooks show it as it is.
    """
