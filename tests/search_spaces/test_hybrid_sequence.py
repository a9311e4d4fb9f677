"""The sequence space: its definition, its mistakes, its subnets, and decoding token by token."""

import numpy as np
import pytest
import torch

from search_spaces import Architecture, SpaceError, Supernet, build_operator, cost, get_space, make_space
from search_spaces.decode import DecodeStep, decode_inputs, example_inputs, state_size
from search_spaces.operators import family, get_operator
from search_spaces.spaces.hybrid_sequence import causal_mixers

MIXERS = ["sequence_gqa", "sequence_ssd", "sequence_short_conv", "sequence_linear_attention", "sequence_identity"]
SPACE = make_space({"name": "hybrid-sequence", "context": [8, 16], "vocab": 20, "mixers": MIXERS})


def sample(space, count: int, seed: int = 0) -> list[Architecture]:
    return [space.architecture(row) for row in space.sample(count, np.random.default_rng(seed))]


def test_the_default_space_offers_every_family_and_names_its_mixers() -> None:
    space = get_space("hybrid-sequence")
    assert space.definition["mixers"] == list(causal_mixers())
    assert {"attention", "ssm", "conv", "linear attention"} <= {family(name) for name in causal_mixers()}
    assert all(get_operator(name).causal for name in causal_mixers())
    assert make_space(space.definition).size() == space.size()


def test_an_architecture_survives_json() -> None:
    for architecture in sample(SPACE, 20):
        assert Architecture.from_json(architecture.to_json()) == architecture


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mixers", ["sequence_gqaa"], "did you mean 'sequence_gqa'"),
        ("mixers", ["mhsa"], "mixers: got 'mhsa'"),
        ("mixers", [], "one or more names"),
        ("mixers", ["sequence_gqa", "sequence_gqa"], "each once"),
        ("mixers", [3], "mixers: got 3"),
        ("context", [16, 8], "context"),
        ("vocab", 1, "vocab"),
        ("task", "translation", "language, classification"),
        ("classes", 4, "legal for the task language is none"),
        ("preset", "huge", "tiny, small"),
        ("resolutions", [8], "unknown key 'resolutions'"),
    ],
)
def test_mistakes_name_the_argument_and_the_legal_values(key: str, value: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make_space({"name": "hybrid-sequence", "context": [16], key: value})


def test_every_spec_is_legal_and_causal() -> None:
    for spec in SPACE.specs():
        cost(spec)
        assert dict(spec.sizes).get("causal", 1) == 1


def test_subnets_equal_extracted_networks_and_are_causal() -> None:
    supernet = Supernet(SPACE, 1).eval()
    for architecture in sample(SPACE, 8, 3):
        x = torch.randint(20, (2, *architecture.input_shape))
        changed = x.clone()
        changed[:, 5:] = (changed[:, 5:] + 1) % 20
        with torch.no_grad():
            y = supernet.extract(architecture)(x)
            assert torch.equal(supernet.subnet(architecture)(x), y)
            assert y.shape == (2, *architecture.input_shape, 20)
            torch.testing.assert_close(supernet.subnet(architecture)(changed)[:, :5], y[:, :5], rtol=0, atol=1e-5)


def test_decoding_token_by_token_equals_the_network_and_its_state_has_the_size_that_is_told() -> None:
    supernet = Supernet(SPACE, 2).eval()
    for architecture in sample(SPACE, 8, 4):
        (length,) = architecture.input_shape
        x = torch.randint(20, (2, length))
        network = supernet.extract(architecture).double()
        step = DecodeStep(network)
        state = step.initial_state(2, length)
        assert sum(tensor[0].numel() for tensor in state) == sum(state_size(spec) for spec in architecture.specs)
        outputs = []
        with torch.no_grad():
            for token in x.unbind(1):
                y, *state = step(token, *state)
                outputs.append(y)
            torch.testing.assert_close(torch.stack(outputs, 1), network(x), rtol=0, atol=1e-9)


def test_an_operator_decodes_in_its_shell_on_the_inputs_it_is_timed_with() -> None:
    for spec in SPACE.specs()[:200:7]:
        step = DecodeStep(build_operator(spec))
        inputs = decode_inputs(spec, step, 3)
        y, *after = step(*inputs)
        assert y.shape[0] == inputs[0].shape[0] == 3
        assert [tensor.shape for tensor in after] == [tensor.shape for tensor in inputs[1:]]


def test_example_inputs_are_tokens_for_an_embedding_and_numbers_otherwise() -> None:
    stem, *_, head = sample(SPACE, 1)[0].specs
    (tokens,) = example_inputs(stem, 2)
    assert tokens.dtype == torch.int64
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < 20
    assert example_inputs(head, 2)[0].is_floating_point()


def test_what_cannot_decode_says_so() -> None:
    space = make_space(
        {"name": "hybrid-sequence", "context": [16], "task": "classification", "classes": 3, "mixers": MIXERS}
    )
    architecture = sample(space, 1)[0]
    network = Supernet(space).extract(architecture)
    assert network(torch.randint(256, (2, 16))).shape == (2, 3)
    with pytest.raises(SpaceError, match="'sequence_class_head': cannot decode"):
        DecodeStep(network)
