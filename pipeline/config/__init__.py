"""One frozen schema per folder of `configs/`, the choices of `configs/config.yaml`, and their validation."""
