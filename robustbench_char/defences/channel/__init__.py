"""The noisy channel (Kernighan et al. 1990): it corrects a word to what was likely meant, in its sentence and file.

`build` makes one from text, `channel` corrects with it, `_reading` fits it to a file, `_choices` says what it may make
of words in any sentence. Nothing is imported before it is used: commands read `options` alone. No torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char.defences.channel.build import train_channel
    from robustbench_char.defences.channel.channel import Channel
    from robustbench_char.defences.channel.options import ChannelKeywords, ChannelOptions

__all__ = ["Channel", "ChannelKeywords", "ChannelOptions", "train_channel"]

__getattr__ = lazy_names(__name__, build="train_channel", channel="Channel", options="ChannelKeywords ChannelOptions")
