"""evidently: ``EmbeddingsDrift`` by its default method, a classifier that tells new features from old."""

import pandas as pd
from _draws import Draw, main
from evidently.legacy.metrics.data_drift.embeddings_drift import EmbeddingsDriftMetric
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report


def judge(draw: Draw) -> str:
    columns = [f"x{axis}" for axis in range(draw.old.shape[1])]
    report = Report([EmbeddingsDriftMetric("features")])
    report.run(
        reference_data=pd.DataFrame(draw.old, columns=columns),
        current_data=pd.DataFrame(draw.new, columns=columns),
        column_mapping=ColumnMapping(embeddings={"features": columns}),
    )
    return "drift" if report.as_dict()["metrics"][0]["result"]["drift_detected"] else "no drift"


main(judge)
