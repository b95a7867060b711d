# An image that trains: docs/clouds.md has the commands. For NVIDIA GPUs:
# docker build --build-arg REQUIREMENTS=requirements-cuda.txt -t mothernets .
FROM python:3.12-slim

ARG REQUIREMENTS=requirements.txt
WORKDIR /mothernets
COPY requirements.txt requirements-cuda.txt ./
RUN pip install --no-cache-dir -r "$REQUIREMENTS"
COPY launch.py ./
COPY configs configs
COPY mothernets_jax mothernets_jax

# Without a shell between, so that SIGTERM reaches the run.
ENTRYPOINT ["python", "launch.py"]
CMD ["--config=configs/vgg_ensemble.py"]
