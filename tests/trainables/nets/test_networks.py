"""Networks: shapes, what connections mean, attention by hand, and that a character sees only the past."""

import pytest
import torch
from torch import nn

from trainables.nets import convolutional, mlp, transformer
from trainables.nets.layers import Style

PLAIN = Style(norm="none", activation="relu")


@pytest.mark.parametrize("connection", convolutional.CONNECTIONS)
@pytest.mark.parametrize("pooling", ["max", "average", "stride"])
def test_stages_score_images_of_any_size(connection, pooling):
    model = convolutional.stages(3, 8, 2, 0.1, connection, Style(pooling=pooling))
    for side in (8, 32):
        assert model(torch.randn(2, 3, side, side)).shape == (2, 10)


def test_a_residual_block_of_zero_weights_passes_on_what_is_positive_and_a_plain_one_nothing():
    x = torch.randn(2, 4, 5, 5)
    for connection, expected in (("residual", x.relu()), ("plain", torch.zeros_like(x))):
        block = convolutional.Block(4, 4, 1, connection, PLAIN)
        for p in block.parameters():
            nn.init.zeros_(p)
        torch.testing.assert_close(block(x), expected)


def test_a_dense_block_keeps_its_input_and_adds_its_growth():
    x = torch.randn(2, 4, 6, 6)
    out = convolutional.Dense(4, 3, 1, PLAIN)(x)
    assert out.shape == (2, 7, 6, 6)
    assert torch.equal(out[:, :4], x)
    assert convolutional.Dense(4, 3, 2, PLAIN)(x).shape == (2, 7, 3, 3)


def test_the_documents_simple_cnn_has_its_62_006_parameters():
    model = convolutional.simple_cnn(0.0, PLAIN)
    assert sum(p.numel() for p in model.parameters()) == 62_006
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_an_mlp_without_hidden_layers_is_linear_regression():
    model = mlp.mlp(12, 8, 0, 0.0, 10, PLAIN)
    x = torch.randn(5, 3, 2, 2)
    torch.testing.assert_close(model(x), model[-1](x.flatten(1)))


def test_attention_is_the_softmax_of_products_worked_out_by_hand():
    torch.manual_seed(0)
    layer = transformer.Layer(8, 2, 0.0, True, PLAIN).eval()
    x = torch.randn(3, 5, 8)
    q, k, v = layer.queries_keys_values(layer.before_attention(x)).chunk(3, dim=2)
    mixed = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = q[..., head] @ k[..., head].transpose(1, 2) / 4**0.5
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf"))
        mixed.append(scores.softmax(2) @ v[..., head])
    x1 = x + layer.out(torch.cat(mixed, 2))
    torch.testing.assert_close(layer(x), x1 + layer.perceptron(x1))


def test_what_follows_a_character_depends_on_none_after_it():
    torch.manual_seed(0)
    model = transformer.CharacterModel(20, 12, 16, 4, 2, 0.0, PLAIN).eval()
    text = torch.randint(20, (2, 12))
    other = text.clone()
    other[:, 7:] = torch.randint(20, (2, 5))
    torch.testing.assert_close(model(text)[:, :7], model(other)[:, :7])
    assert not torch.allclose(model(text)[:, 7:], model(other)[:, 7:])


def test_a_vision_transformer_sees_every_patch_and_where_it_stands():
    torch.manual_seed(0)
    model = transformer.VisionTransformer(1, 8, 2, 16, 4, 1, 0.0, 10, PLAIN).eval()
    x = torch.randn(1, 1, 8, 8)
    scores = model(x)
    assert scores.shape == (1, 10)
    for row in range(0, 8, 2):
        for column in range(0, 8, 2):
            changed = x.clone()
            changed[:, :, row, column] += 1
            assert not torch.allclose(model(changed), scores)
    assert not torch.allclose(model(x.flip(3)), scores)


def test_what_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="`embedding` is 10, which 4 heads cannot share"):
        transformer.Layer(10, 4, 0.0, False, PLAIN)
    with pytest.raises(ValueError, match="`patch` is 3, which does not divide an image of 8 pixels"):
        transformer.VisionTransformer(1, 8, 3, 16, 4, 1, 0.0, 10, PLAIN)
