"""Every reference design is what was published, and its nearest points in the shipped spaces are legal."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from nas.catalogue.cli import spaces_app
from search_spaces import Architecture, SearchSpace, SpaceError, build_network, build_operator, get_space, make_space
from search_spaces.decode import example_inputs
from search_spaces.spaces.projection import project
from search_spaces.spaces.reference import Design, _stored, design_names, expand, get_design

DESIGNS = [get_design(name) for name in design_names()]
SMALL = ["resnet-18", "mobilenet-v2", "efficientnet-b0", "edgenext-small", "poolformer-s12", "cct-7-3x1", "deit-tiny"]
SPACES = {name: get_space(name) for name in ("hybrid-vision/tiny", "hybrid-vision/full", "hybrid-sequence/tiny")}


def is_image(design: Design) -> bool:
    return len(design.architecture.input_shape) == 3


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.name)
def test_the_count_agrees_with_what_was_published(design: Design) -> None:
    assert all(abs(deviation) <= 0.02 for deviation in design.deviation.values()), design.deviation
    assert is_image(design) == ("macs" in design.deviation)


def test_there_are_designs_of_every_family() -> None:
    families = {family for design in DESIGNS for family in design.families}
    assert len(DESIGNS) >= 30
    assert families >= {"conv", "attention", "linear attention", "ssm", "mlp", "pool"}
    assert len({design.architecture.hash for design in DESIGNS}) == len(DESIGNS)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.name)
def test_json_round_trip_and_stable_hash(design: Design) -> None:
    again = Architecture.from_json(json.loads(json.dumps(design.architecture.to_json())))
    assert again == design.architecture
    assert again.hash == get_design(design.name).architecture.hash
    assert again.space.size() >= 1
    assert again.space.name == f"custom/{design.name}"


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.name)
def test_it_builds_with_the_parameters_counted_and_its_operators_fit(design: Design) -> None:
    counted, specs = [], design.architecture.specs
    with torch.device("meta"):
        (x,) = example_inputs(specs[0], 1)
        for spec in specs:
            assert tuple(x.shape[1:]) == spec.shape
            operator = build_operator(spec).eval()
            counted.append(sum(parameter.numel() for parameter in operator.parameters()))
            x = operator(x)
    assert sum(counted) - (counted[0] if design.tied else 0) == design.counted.parameters
    definition = design.architecture.space.definition
    assert x.shape == (1, definition["classes"]) if is_image(design) else x.shape[2] == definition["vocab"]


@pytest.mark.parametrize("name", SMALL)
def test_a_small_image_goes_through(name: str) -> None:
    design = expand(name, _stored()[name], resolution=32)
    network = build_network(design.architecture).eval()
    with torch.no_grad():
        y = network(torch.randn(2, 3, 32, 32))
    assert y.shape == (2, design.architecture.space.definition["classes"])
    assert y.isfinite().all()


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.name)
def test_projection_is_a_legal_architecture_with_the_designs_mixers(design: Design, space: SearchSpace) -> None:
    found = project(design.architecture, space)
    if found is None:
        return
    rows = space.matrix([found])
    assert (space.canonicalise(rows) == rows).all()
    assert all(row[g] in space.legal[g] for row in rows for g in range(len(space.choices)) if space.active(rows)[0][g])
    stand_ins = {"reduced_attention": "mhsa", "squeezed_mbconv": "mbconv"}
    mixers = {v for k, v in design.architecture.values.items() if k.endswith(".mixer")}
    for gene, mixer in found.values.items():
        if gene.endswith(".mixer"):
            assert mixer in mixers | {stand_ins[m] for m in mixers if m in stand_ins}
    assert Architecture.from_json(found.to_json(), space) == found


def test_projection_finds_the_designs_whose_mixers_are_offered() -> None:
    found = {name: [d.name for d in DESIGNS if project(d.architecture, space)] for name, space in SPACES.items()}
    assert {"convnext-tiny", "mobilenet-v2", "deit-tiny", "caformer-s18"} <= set(found["hybrid-vision/tiny"])
    assert "swin-tiny" not in found["hybrid-vision/tiny"]
    assert {"swin-tiny", "van-b0", "mambavision-small", "maxvit-tiny"} <= set(found["hybrid-vision/full"])
    assert found["hybrid-sequence/tiny"] == [d.name for d in DESIGNS if not is_image(d)]


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda s: s.name)
def test_projection_onto_its_own_space_is_the_architecture_itself(space: SearchSpace) -> None:
    for row in space.largest(space.sample(20, np.random.default_rng(0))):
        architecture = space.architecture(row)
        assert project(architecture, space) == architecture


def test_unknown_design_and_unreadable_patterns_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"did you mean 'resnet-50'.*legal: .*resnet-18"):
        get_design("resnet-5")
    written = _stored()["resnet-18"]
    stage = {"width": 64, "layers": "2 x dense_conv(kernel three)"}
    with pytest.raises(SpaceError, match="dense_conv"):
        expand("mine", {**written, "stages": [stage]})
    with pytest.raises(SpaceError, match="missing"):
        expand("mine", {**written, "stages": [{"width": 64, "layers": "2 x dense_conv(kernel 3)"}]})


def test_the_command_lists_them() -> None:
    found = CliRunner().invoke(spaces_app, ["designs", "--json"])
    rows = json.loads(found.output)
    assert [row["name"] for row in rows] == design_names()
    assert rows[0]["parameters"]["counted"] == get_design(rows[0]["name"]).counted.parameters
    assert f"{len(rows)} designs; counted within" in CliRunner().invoke(spaces_app, ["designs"]).output


LANGUAGE = {
    "name": "custom",
    "title": "mine",
    "context": [16, 32],
    "vocab": 50,
    "channel_mixers": {"sequence_swiglu": {"ratio": [2, 3]}},
    "stages": [{"widths": [16, 32], "depths": [1, 2], "mixers": ["sequence_gqa", "sequence_ssd"]}],
}


def test_a_custom_space_of_sequences_runs_and_round_trips() -> None:
    space = make_space(LANGUAGE)
    for row in space.sample(5, np.random.default_rng(0)):
        architecture = space.architecture(row)
        assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture
        length = architecture.values["context"]
        y = build_network(architecture)(torch.randint(50, (2, length)))
        assert y.shape == (2, length, 50)
    classes = make_space({**LANGUAGE, "classes": 4})
    architecture = classes.architecture(classes.sample(1, np.random.default_rng(0))[0])
    assert build_network(architecture)(torch.randint(50, (2, 16))).shape == (2, 4)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"resolutions": [32]}, "resolutions"),
        ({"context": [32, 16]}, "context"),
        ({"vocab": 1}, "vocab"),
        ({"classes": 1}, "classes"),
        ({"stages": [*LANGUAGE["stages"], *LANGUAGE["stages"]]}, "stages: got 2"),  # type: ignore[misc]
        ({"stages": [{"widths": [16], "depths": [1], "mixers": ["mhsa"]}]}, "mhsa"),
        ({"stages": [{"widths": [16], "depths": [1], "mixers": ["sequence_gqa"], "downsample": []}]}, "downsample"),
    ],
)
def test_wrong_sequence_spaces_are_refused_by_key(change: dict, named: str) -> None:
    with pytest.raises(SpaceError, match=named):
        make_space({**LANGUAGE, **change})


def test_stages_have_down_sampling_positions_and_heads_of_their_own() -> None:
    stage = {"widths": [16, 24], "depths": [1], "mixers": ["identity"], "channel_mixers": ["mlp"]}
    definition = {
        "name": "custom",
        "resolutions": [32],
        "stem": {"conv_stem": {"stride": 2}},
        "head": {"pooled_head": {}, "hidden_pooled_head": {"features": [32, 64]}},
        "stages": [
            stage,
            {**stage, "downsample": {"strided_conv": {}, "patch_merging": {}}, "position": {"peg": {"kernel": [3, 5]}}},
            {**stage, "depths": [0, 1], "downsample": "strided_conv"},
        ],
    }
    space = make_space(definition)
    for gene in ("downsample2", "position2.kernel", "head", "head.hidden_pooled_head.features"):
        assert gene in space.index
    for row in space.sample(10, np.random.default_rng(0)):
        architecture = space.architecture(row)
        assert build_network(architecture)(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(SpaceError, match="downsample"):
        make_space({**definition, "stages": [{**stage, "downsample": "strided_conv"}]})
    with pytest.raises(SpaceError, match="downsample"):
        make_space({**definition, "stages": [stage, stage]})
