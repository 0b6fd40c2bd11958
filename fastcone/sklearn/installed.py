# SPDX-License-Identifier: BSD-3-Clause
"""What newer versions of scikit-learn have, and what stands for it with older ones: callbacks."""

from __future__ import annotations

from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """No callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is."""
        return method


class Iterations:
    """The callbacks of an estimator, told of each iteration of its fit.

    A task of the fit is an iteration, begun when the one before has ended. `fitted_estimator` is
    not handed to callbacks before the fit is over.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, max_iter: int) -> None:
        self.given = {"estimator": estimator, "X": X, "y": y}
        self.max_iter = max_iter
        self.root: Any = None
        self.task: Any = None
        if getattr(estimator, "_skl_callbacks", None):
            self.root = estimator._init_callback_context(max_subtasks=max_iter)
            self.root.call_on_fit_task_begin(**self.given)
            self._begin()

    def _begin(self) -> None:
        self.task = self.root.subcontext(task_name="iteration")
        self.task.call_on_fit_task_begin(**self.given)

    def ended(self, iteration: int) -> bool:
        """Tell that an iteration has ended; return whether a callback wants the fit to end."""
        if self.task is None:
            return False
        stop = bool(self.task.call_on_fit_task_end(**self.given))
        self.task = None
        if not stop and iteration < self.max_iter:
            self._begin()
        return stop

    def close(self) -> None:
        """Tell that the fit has ended."""
        if self.root is not None:
            if self.task is not None:
                self.task.call_on_fit_task_end(**self.given)
            self.root.call_on_fit_task_end(**self.given, reconstruction_attributes={})
