"""Where a training run begins: anew, where a killed run stopped (`--resume`), or not at all, because it is finished."""

from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.experiment.checkpoint import remove_leftovers
from taltool.reporting import Reporter
from taltool.training.log_writer import TensorBoardWriter, require_tensorboard
from taltool.training.trainer import Plan, Trainer

# Where a run begins.
_ANEW, _STATE, _FINISHED = "anew", "state", "finished"


def start_or_resume(trainer: Trainer, resume: bool, reporter: Reporter, board_folder: str | None = None) -> None:
    """Run from the beginning or, with `resume`, from where a killed run stopped; a finished run is left as it is.

    board_folder is where TensorBoard's files go, if anywhere.
    """
    plan = trainer.plan
    if board_folder is not None:
        require_tensorboard()  # Before anything of an earlier run is removed.
    beginning = plan.processes.broadcast(_beginning(plan, resume, reporter) if plan.processes.is_first else "")
    if beginning == _FINISHED:
        return
    if beginning == _STATE:
        trainer.restore()
        reporter.note(f"continuing at epoch {trainer.progress.epoch + 1}, batch {trainer.progress.step + 1}")
    if board_folder is not None and plan.processes.is_first:
        trainer.log.tensorboard = TensorBoardWriter(board_folder, trainer.progress.epoch)
    trainer.run()
    reporter.note(f"wrote {plan.output} (epoch {trainer.progress.best_epoch} of {trainer.settings.epochs})")


def _beginning(plan: Plan, resume: bool, reporter: Reporter) -> str:
    """Tidy up after earlier runs; return where this one begins: _ANEW, _STATE, or _FINISHED already."""
    remove_leftovers(plan.output)
    remove_leftovers(plan.state_path)
    if plan.state_path.exists() and resume:
        return _STATE
    if plan.state_path.exists():
        reporter.warn(f"{plan.state_path} is of a run that did not end; starting anew (--resume would continue)")
        plan.state_path.unlink()
    elif resume and _is_finished(plan):
        reporter.note(f"{plan.output} is finished; nothing to do")
        return _FINISHED
    elif resume:
        reporter.note("no state to continue from; starting at the beginning")
    return _ANEW


def _is_finished(plan: Plan) -> bool:
    if not plan.output.exists():
        return False
    training = read_checkpoint_header(str(plan.output)).training
    return bool(training.get("finished") and training.get("fingerprint") == plan.fingerprint)
