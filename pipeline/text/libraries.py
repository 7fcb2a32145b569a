"""The libraries whose documentation is the embedded data set, and the word that hides their names.

All are pinned by `requirements.lock`. Tools that only the tests need, pip and the standard library are left out:
they differ from machine to machine.
"""

import re

# The classes of the task: which library does a docstring document?
TASK = ("networkx", "numpy", "pandas", "scikit-learn", "scipy", "sympy", "torch", "torchmetrics")
# The classes of the task on which the recipe was developed, so that it never saw the first one's.
DEVELOPMENT = (
    "asyncssh",
    "dulwich",
    "fonttools",
    "huggingface_hub",
    "matplotlib",
    "narwhals",
    "pydantic",
    "pytorch-lightning",
)
# General text about programming, in no task.
OTHERS = (
    "aiohttp",
    "amqp",
    "anyio",
    "attrs",
    "celery",
    "click",
    "configobj",
    "cryptography",
    "datasets",
    "dill",
    "diskcache",
    "distro",
    "dvc",
    "dvc-data",
    "dvc-objects",
    "filelock",
    "fsspec",
    "gitdb",
    "GitPython",
    "hydra-core",
    "Jinja2",
    "joblib",
    "kombu",
    "lightning-utilities",
    "mpmath",
    "omegaconf",
    "packaging",
    "pathspec",
    "pillow",
    "platformdirs",
    "prompt_toolkit",
    "psutil",
    "pyarrow",
    "pygit2",
    "Pygments",
    "pygtrie",
    "pyparsing",
    "python-dateutil",
    "requests",
    "rich",
    "ruamel.yaml",
    "safetensors",
    "scmrepo",
    "tabulate",
    "threadpoolctl",
    "tokenizers",
    "tqdm",
    "urllib3",
    "voluptuous",
    "wcwidth",
)
# A few small ones, read in a second: text for trying the stages out.
SAMPLE = ("click", "packaging", "pyparsing", "requests", "urllib3")
SAMPLE_DOMAIN = ("Jinja2", "rich")

MASK = "library"
# Names in any case, aliases as they are written in code. An underscore ends a word: `from_numpy` is masked as well.
NAMES = (
    r"networkx|numpy|pandas|scikit[-_. ]?learn|scikits?|sklearn|scipy|sympy|(?:py|lib|func)?torch[a-z]*"
    r"|asyncssh|dulwich|fonttools|hugging[-_ ]?face|matplotlib|pyplot|narwhals|pydantic|lightning"
)
ALIASES = r"np|nx|pd|sp|plt|mpl|hf|nw|pl"
PATTERN = re.compile(rf"(?<![A-Za-z0-9])(?:(?i:{NAMES})|{ALIASES})(?![A-Za-z0-9])")


def mask(text: str) -> str:
    """Replace every name and alias of a library of either task by one word.

    >>> mask("Convert from_numpy to np.ndarray as PyTorch does.")
    'Convert from_library to library.ndarray as library does.'
    """
    return PATTERN.sub(MASK, text)
