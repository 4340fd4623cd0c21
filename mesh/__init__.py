"""The local mesh: what runs, in which order, on which port."""
