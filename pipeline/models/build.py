"""From settings to a network."""

from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.models.settings import LSTMSettings, ModelSettings
from pipeline.models.transformer import Transformer
from pipeline.models.weights import initialise

Network = Transformer | EncoderDecoder | AWDLSTM


def new_network(settings: ModelSettings, vocabulary: int) -> Network:
    """The network of the settings, its weights not yet set."""
    if isinstance(settings, LSTMSettings):
        return AWDLSTM(settings, vocabulary)
    if settings.family == "encoder_decoder":
        return EncoderDecoder(settings, vocabulary)
    return Transformer(settings, vocabulary)


def build(settings: ModelSettings, vocabulary: int, seed: int) -> Network:
    """The network of the settings with fresh weights: equal for equal `seed` on every machine and device."""
    network = new_network(settings, vocabulary)
    initialise(network, seed)
    return network
