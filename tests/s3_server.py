"""A server that speaks S3, in this process, with a bucket for each test."""

import contextlib
import itertools
import logging
import os
from importlib import import_module
from unittest import mock

_NUMBERS = itertools.count(1)


@contextlib.contextmanager
def s3_server():
    """Context with a server; environment variables lead to it, and to nothing else."""
    server = import_module("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # each request
    _, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with mock.patch.dict(os.environ, environment):
        try:
            yield server
        finally:
            server.stop()


def new_bucket():
    """The URL of a prefix in a new bucket."""
    name = f"runs-{next(_NUMBERS)}"
    import_module("boto3").client("s3").create_bucket(Bucket=name)
    return f"s3://{name}/first"
