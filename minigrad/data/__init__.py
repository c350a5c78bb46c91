"""Data to train on, as NumPy arrays: data sets, the readers of their files, and the loader.

    train = DataLoader(digits("train"), batch_size=64, shuffle=True, seed=0)
    for images, labels in train:  # float32 (64, 1, 32, 32), int64 (64,)

Nothing here knows of tensors, nothing is downloaded, and nothing is written.
"""

from minigrad.data.catalogue import DATASETS, SIDE, DataSource, load
from minigrad.data.dataset import ArrayDataset, ImageDataset
from minigrad.data.digits import digits
from minigrad.data.idx import fashion_mnist, mnist, read_idx
from minigrad.data.loader import DataLoader, Dataset
from minigrad.data.pictures import Preprocessing, read_picture
from minigrad.data.scaling import scaled

__all__ = [
    "DATASETS",
    "SIDE",
    "ArrayDataset",
    "DataLoader",
    "DataSource",
    "Dataset",
    "ImageDataset",
    "Preprocessing",
    "digits",
    "fashion_mnist",
    "load",
    "mnist",
    "read_idx",
    "read_picture",
    "scaled",
]
