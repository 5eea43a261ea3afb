"""The log on disk: what the hub said, until every sink has settled it."""

from bridge.journal.change import Chunk, Places, Previous, State
from bridge.journal.damage import Lost, Telling
from bridge.journal.entry import Buried
from bridge.journal.inspection import Inspection
from bridge.journal.letter import Edits, Letter, Refusal, Which
from bridge.journal.letter_desk import LetterDesk, Retried
from bridge.journal.log import Journal
from bridge.journal.memory import Memory, Recorded
from bridge.journal.opening import capacity, open_journal
from bridge.journal.owner import owned
from bridge.journal.reader import Lag, Page
from bridge.journal.rebuild import Salvaged
from bridge.journal.recorder import Limits
from bridge.journal.salvage import Repair
from bridge.journal.stage import Stage, Step
from bridge.journal.stopped import StoppedJournal, Unusable, open_repaired, open_stopped
from bridge.journal.tally import GivenUp
from bridge.journal.trim import Older, open_trim
from bridge.journal.volume import within_volume

__all__ = [
    "Buried",
    "Chunk",
    "Edits",
    "GivenUp",
    "Inspection",
    "Journal",
    "Lag",
    "Letter",
    "LetterDesk",
    "Limits",
    "Lost",
    "Memory",
    "Older",
    "Page",
    "Places",
    "Previous",
    "Recorded",
    "Refusal",
    "Repair",
    "Retried",
    "Salvaged",
    "Stage",
    "State",
    "Step",
    "StoppedJournal",
    "Telling",
    "Unusable",
    "Which",
    "capacity",
    "open_journal",
    "open_repaired",
    "open_stopped",
    "open_trim",
    "owned",
    "within_volume",
]
