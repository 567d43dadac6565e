"""Artefacts, identity and locks; standard library only."""

from pretrial.store.artefacts import Artefact, DamagedError, FileHashes, Store
from pretrial.store.identity import canonical, differences, fingerprint, hash_file

__all__ = [
    "Artefact",
    "DamagedError",
    "FileHashes",
    "Store",
    "canonical",
    "differences",
    "fingerprint",
    "hash_file",
]
