"""Measure how good the ranking is, on photos that somebody has labelled; needs the extra `evaluate`.

    labelled = labels.read(Path("labels.csv"))
    async with lookalike.Client("localhost:50051") as client:
        evaluation = await study.evaluate(labelled, [client])
    evaluation.sides[0].figures()["map"]
    Path("report.html").write_text(report.render(evaluation))

`ranking` and `duplicates` work on arrays, without servers, for callers that have vectors already.
"""
