"""Turn what a space was learned from into the wire's message, and back."""

from dataclasses import astuple

from lookalike.records import Learning, MeasuredGain
from lookalike.v1 import searcher_pb2 as wire


def encode(record: Learning) -> wire.Learning:
    """Return the message of what was learned from. Raises TypeError or ValueError if it cannot be sent."""
    message = wire.Learning(
        method=record.method,
        image_count=record.images,
        product_count=record.products,
        judgement_count=record.judgements,
        label_count=record.labels,
        copy_count=record.copies,
        tells_variants_apart=record.tells_variants_apart,
    )
    if record.gain:
        products, queries, before, after, low, high = astuple(record.gain)
        message.gain.CopyFrom(
            wire.MeasuredGain(
                product_count=products, query_count=queries, before=before, after=after, low=low, high=high
            )
        )
    return message


def decode(message: wire.Learning) -> Learning:
    """Return the record of a message."""
    gain = message.gain
    return Learning(
        method=message.method,
        images=message.image_count,
        products=message.product_count,
        judgements=message.judgement_count,
        gain=MeasuredGain(gain.product_count, gain.query_count, gain.before, gain.after, gain.low, gain.high)
        if message.HasField("gain")
        else None,
        labels=message.label_count,
        copies=message.copy_count,
        tells_variants_apart=message.tells_variants_apart,
    )
