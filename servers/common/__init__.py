"""ai2text-common: what every server needs and no server owns."""
