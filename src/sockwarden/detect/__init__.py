"""Detection: rules and signatures over documents."""

from sockwarden.detect.detectors import Detection, RuleDetection, SignatureDetection
from sockwarden.detect.engine import Counts, Engine
from sockwarden.detect.source import Source
from sockwarden.detect.suppression import StreamGroups

__all__ = ["Counts", "Detection", "Engine", "RuleDetection", "SignatureDetection", "Source", "StreamGroups"]
