"""Networks that threads load at the same time have the weights of their files."""

import ast
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import engine
from engine.tasks.generation import base_models

LOADERS = {"from_pretrained", "from_config"}
LOCK = "one_network_at_a_time"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("network")
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=6,
        num_attention_heads=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def test_networks_loaded_at_once_are_whole(folder):
    expected = base_models.load_network(folder, "sdpa").state_dict()
    barrier = threading.Barrier(4)

    def load(_):
        barrier.wait()
        return base_models.load_network(folder, "sdpa").state_dict()

    for _ in range(3):
        with ThreadPoolExecutor(4) as threads:
            for state in threads.map(load, range(4)):
                assert all(torch.equal(state[name], expected[name]) for name in expected)


def modules() -> list[Path]:
    return sorted(Path(engine.__file__).parent.rglob("*.py"))


def test_every_network_of_transformers_is_loaded_under_the_lock():
    seen = [call for path in modules() for call in loads_of(path)]
    assert not [where for where, is_locked in seen if not is_locked]
    assert len(seen) >= 9


def loads_of(path: Path) -> list[tuple[str, bool]]:
    """Each call that makes or loads a network, and whether it is locked."""

    def visit(node: ast.AST, is_locked: bool) -> None:
        if isinstance(node, ast.FunctionDef):
            is_locked = is_locked or any(LOCK in ast.dump(one) for one in node.decorator_list)
        if isinstance(node, ast.With):
            is_locked = is_locked or any(LOCK in ast.dump(one) for one in node.items)
        if makes_network(node):
            calls.append((f"{path.name}:{node.lineno}", is_locked))
        for child in ast.iter_child_nodes(node):
            visit(child, is_locked)

    calls: list[tuple[str, bool]] = []
    visit(ast.parse(path.read_text()), False)
    return calls


def makes_network(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOADERS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id.startswith("AutoModel")
    )
