"""Ground floor: contracts and storage of the lake."""
