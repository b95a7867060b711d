"""The choice of `MotherNetsClassifier`'s defaults, on data that judge nothing else.

    python -m benchmarks.tabular_defaults --out=benchmarks/results/tabular_defaults.json

Iris and drawn data sets, none of those of `benchmarks.tabular`. Each is halved,
stratified; recipes train on one half and are compared by the log loss and the error on
the other.
"""

from absl import app, flags
from sklearn import datasets
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from benchmarks.turns import write_results
from mothernets_jax import MotherNetsClassifier

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)

RECIPES = {
    f"{optimizer} {rate} {decay} {epochs}": {
        "epochs": epochs,
        "learning_rate": rate,
        "settings": {"train.optimizer": optimizer, "train.weight_decay": decay},
    }
    for optimizer, rate, decay, epochs in (
        ("sgd", 0.05, 5e-4, 50),
        ("sgd", 0.05, 5e-3, 50),
        ("sgd", 0.1, 5e-4, 50),
        ("adamw", 3e-3, 1e-2, 50),
    )
}


def data_sets() -> dict:
    two = {"n_samples": 400, "n_features": 20, "n_informative": 6, "random_state": 1}
    three = two | {"n_classes": 3, "flip_y": 0.05, "random_state": 2}
    rings = {"n_samples": 400, "n_features": 6, "n_classes": 3, "random_state": 3}
    return {
        "iris": datasets.load_iris(return_X_y=True),
        "two classes": datasets.make_classification(**two),
        "three classes": datasets.make_classification(**three),
        "rings": datasets.make_gaussian_quantiles(**rings),
    }


def main(argv: list[str]) -> None:
    del argv
    rows = {name: {} for name in RECIPES}
    for data, (X, y) in data_sets().items():
        X, held_out, y, labels = train_test_split(
            X, y, test_size=0.5, stratify=y, random_state=0
        )
        for name, recipe in RECIPES.items():
            fitted = MotherNetsClassifier(random_state=0, **recipe).fit(X, y)
            loss = log_loss(labels, fitted.predict_proba(held_out))
            error = 1 - fitted.score(held_out, labels)
            rows[name][data] = {"log_loss": loss, "error": error}
            print(f"{data}, {name}: error {error:.3f}, log loss {loss:.3f}", flush=True)
    write_results(_OUT.value, {"rows": rows})


if __name__ == "__main__":
    app.run(main)
