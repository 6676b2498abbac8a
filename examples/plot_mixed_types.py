"""
A table of mixed types
======================

A table with categories, integers, booleans and missing values, in and out.

Two branches of a shop, made up: the old one has many customers, the new one few, and these are younger.
pandas is needed: pip install ".[pandas]".
"""

# %%
# Two branches of a shop
# ----------------------
# The label says whether a customer came back. Some customers did not tell their age, and some no payment.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.plotting import MarginalsDisplay


def branch(n, age, online, seed):
    rng = np.random.default_rng(seed)
    member = rng.random(n) < 0.4
    frame = pd.DataFrame(
        {
            "age": pd.array(np.clip(rng.normal(age, 10, n), 18, 90).round(), dtype="Int64"),
            "spent": rng.lognormal(3 + 0.5 * member, 0.4).round(2),
            "items": rng.poisson(3 + 2 * member) + 1,
            "member": member,
            "payment": pd.Categorical(
                rng.choice(["cash", "card", "online"], n, p=[0.6 - online, 0.4, online])
            ),
        }
    )
    frame.loc[rng.random(n) < 0.1, "age"] = pd.NA
    frame.loc[rng.random(n) < 0.05, "payment"] = None
    return frame, np.where(rng.random(n) < 0.2 + 0.5 * member, "came back", "did not")


old, y_old = branch(2000, age=55, online=0.1, seed=0)
new, y_new = branch(80, age=35, online=0.4, seed=1)

# %%
# Fit and sample
# --------------
# Nothing has to be encoded beforehand. The two frames must have the same columns, and the target no
# category that the source does not know.
source = DiffusionGenerator(max_steps=800, batch_size=128)
classifier = DomainClassifier(n_folds=3, max_steps=150)
short = {"n_networks": 1, "max_steps": 300, "batch_size": 128}
gen = TGDPGenerator(source, domain_classifier=classifier, random_state=0, **short)
gen.fit(old, y_old, new, y_new)
rows, labels = gen.sample(1000)
print(rows.assign(label=labels).head())
print("\nThe same types:", rows.dtypes.equals(new.dtypes))


# %%
# The new branch, in numbers
# --------------------------
# `fresh` are further customers of the new branch, to compare with.
def summary(frame, y):
    spent_by_members = frame.loc[frame["member"], "spent"].mean()
    return {
        "mean age": frame["age"].mean(),
        "age missing": frame["age"].isna().mean(),
        "pays online": (frame["payment"] == "online").mean(),
        "members": frame["member"].mean(),
        "spent by members": spent_by_members if frame["member"].any() else 0.0,
        "came back": (y == "came back").mean(),
    }


fresh, y_fresh = branch(1000, age=35, online=0.4, seed=2)
tables = {"old": (old, y_old), "new": (new, y_new), "samples": (rows, labels), "fresh": (fresh, y_fresh)}
print()
print(pd.DataFrame({name: summary(*table) for name, table in tables.items()}).astype(float).round(2))

# %%
# The new branch, in a picture
# ----------------------------
# Column by column, with the share of missing values. After so short a training the way of payment still lies
# between the two branches.
MarginalsDisplay.from_data(fresh, rows, names=("fresh customers", "samples"))
plt.show()

# %%
# One class
# ---------
# As everywhere, `y` fixes the labels.
rows, _ = gen.sample(500, y="came back")
print(f"\nMembers among synthetic customers who came back: {rows['member'].mean():.2f}")
