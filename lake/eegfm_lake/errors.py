"""The one root of every error that eegfm raises on purpose."""


class EegfmError(Exception):
    """A failure explained in one line: what was found, what was expected, what to do.

    The command line prints it without a traceback and exits with ``exit_code``.
    """

    exit_code = 1


class UsageError(EegfmError):
    """The request itself is wrong (unknown name, misspelt key, refused SQL)."""

    exit_code = 2


class MissingExtraError(EegfmError):
    """A package is needed that this installation lacks."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'eegfm[{extra}]'")
