"""The `ai2text` command: speak, transcribe, search, export."""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read when grpc is imported: what it says below that is not for users
