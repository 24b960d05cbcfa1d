"""Names of the kit's encryption at rest. Its keys are SECRET_KEY and SECRET_KEY_PREVIOUS."""

from mscr.core.security.encryption import DecryptionError, EncryptionService
