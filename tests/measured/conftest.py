import pytest
import torch


@pytest.fixture
def one_thread():
    """More would wait for one another where processors are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
