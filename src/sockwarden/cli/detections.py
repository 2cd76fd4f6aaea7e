"""Which rules and signatures a command means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sockwarden.detect import Detection, RuleDetection, SignatureDetection
from sockwarden.errors import UsageError
from sockwarden.rules import Rule, load_packaged, load_rule, select
from sockwarden.settings import Config
from sockwarden.signatures import SIGNATURES, Signature


def chosen(selectors: Sequence[str]) -> list[Detection]:
    """The detections that `--rule` names: a rule's file stem, rule_id or name, a signature's id, event name or name,
    or a rule file. All that sockwarden has where nothing is named.
    """
    if not selectors:
        return [*map(RuleDetection, load_packaged()), *(SignatureDetection(signature()) for signature in SIGNATURES)]
    found: dict[str, Detection] = {}
    for selector in selectors:
        for one in find(selector):
            detection: Detection = RuleDetection(one) if isinstance(one, Rule) else SignatureDetection(one)
            found.setdefault(detection.detector.rule_id, detection)
    return list(found.values())


def configured(config: Config) -> list[Detection]:
    """The detections that a configuration file asks for: what it enables, or all, without what it disables, and its own
    files.
    """
    disabled = {one.detector.rule_id for selector in config.rules.disable for one in chosen([selector])}
    found = [one for one in chosen(config.rules.enable) if one.detector.rule_id not in disabled]
    return [*found, *(RuleDetection(load_rule(Path(file))) for file in config.rules.files)]


def find(selector: str) -> Sequence[Rule | Signature]:
    """The rules and signatures of that name."""
    if selector.endswith(".toml"):
        return [load_rule(Path(selector))]
    if signatures := [signature for signature in (kind() for kind in SIGNATURES) if _is(signature, selector)]:
        return signatures
    try:
        return select(load_packaged(), selector)
    except UsageError as error:
        error.todo = "See `sockwarden rules list`; a rule file of yours is named by its path, ending in .toml."
        raise


def _is(signature: Signature, selector: str) -> bool:
    metadata = signature.get_metadata()
    return selector.casefold() in (metadata.id.casefold(), metadata.event_name.casefold(), metadata.name.casefold())
