"""`MotherNetsClassifier` beside scikit-learn's networks and boosted trees.

    python -m benchmarks.tabular --out=benchmarks/results/tabular.json

Five stratified folds of digits, breast cancer and wine, the same for all, and every
classifier with its defaults; `MLPClassifier` is given scaled features, which it needs.
Ours were chosen by `benchmarks.tabular_defaults`, on other data.
"""

from absl import app, flags
from sklearn import datasets
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.turns import write_results
from mothernets_jax import MotherNetsClassifier

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_TINY = flags.DEFINE_bool("tiny", False, "Whether to train for one epoch, on wine.")
_FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


def data_sets() -> dict:
    loaders = {
        "wine": datasets.load_wine,
        "breast cancer": datasets.load_breast_cancer,
        "digits": datasets.load_digits,
    }
    names = ["wine"] if _TINY.value else list(loaders)
    return {name: loaders[name](return_X_y=True) for name in names}


def classifiers() -> dict[str, ClassifierMixin]:
    ours = {"epochs": 1} if _TINY.value else {}
    boosting = HistGradientBoostingClassifier(random_state=0)
    return {
        "MotherNetsClassifier": MotherNetsClassifier(random_state=0, **ours),
        "MLPClassifier": make_pipeline(StandardScaler(), MLPClassifier(random_state=0)),
        "HistGradientBoostingClassifier": boosting,
    }


def main(argv: list[str]) -> None:
    del argv
    rows = {}
    for data, (X, y) in data_sets().items():
        rows[data] = {}
        for name, classifier in classifiers().items():
            accuracies = cross_val_score(classifier, X, y, cv=_FOLDS)
            errors = (1.0 - accuracies).tolist()
            mean = sum(errors) / len(errors)
            rows[data][name] = {"error": mean, "error_by_fold": errors}
            print(f"{data}, {name}: {100 * mean:.2f}% wrong", flush=True)
            write_results(_OUT.value, {"rows": rows})


if __name__ == "__main__":
    app.run(main)
