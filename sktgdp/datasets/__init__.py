"""Data for transfer between two domains: simulations, shifts of scikit-learn's data, and ECG records.

The readers of ECG records (extra ``timeseries``) return a `sklearn.utils.Bunch` with

- ``data``: float32 of shape (n, n_leads, length), in mV, zeros after the end of a shorter record; None if
  only labels were read,
- ``lengths`` (n,): the samples that are real; ``sampling_rate`` in Hz; ``lead_names`` (n_leads,),
- ``record_names``, ``paths`` (n,); ``skipped``: (path, reason) of each record that could not be used;
  ``DESCR``,

and those that know labels

- ``target``: a multi-label indicator (n, k); ``target_names`` (k,),
- ``folds``, ``patient_id`` (n,), or None where the data have neither,
- ``n_unlabelled``: the records that were left out because they have none of the labels.
"""

from sktgdp.datasets._challenge import load_challenge, load_icbeb2018
from sktgdp.datasets._ptbxl import load_ptbxl
from sktgdp.datasets._records import load_wfdb_records
from sktgdp.datasets._statements import snomed_to_scp
from sktgdp.datasets._stratify import stratified_folds, stratified_target_subset
from sktgdp.datasets._synthetic import make_diabetes_shift, make_digits_shift, make_gaussian_mixture_shift
from sktgdp.datasets._wfdb import STANDARD_LEADS, RecordError

__all__ = [
    "STANDARD_LEADS",
    "RecordError",
    "load_challenge",
    "load_icbeb2018",
    "load_ptbxl",
    "load_wfdb_records",
    "make_diabetes_shift",
    "make_digits_shift",
    "make_gaussian_mixture_shift",
    "snomed_to_scp",
    "stratified_folds",
    "stratified_target_subset",
]
