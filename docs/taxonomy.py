"""Writes the table of hyperparameters.md from what the trainables declare: `python docs/taxonomy.py`."""

from pathlib import Path

import trainables

ROWS: dict[str, dict[str, tuple[str, ...]]] = {
    "Architecture": {
        "layer kinds": ("model",),
        "depth": ("depth",),
        "width": ("width",),
        "kernel size": ("kernel_size",),
        "activation": ("activation",),
        "connection": ("connection",),
        "pooling": ("pooling",),
        "embedding": ("embedding",),
        "attention heads": ("heads",),
        "patch, context": ("patch", "length"),
        "normalisation": ("norm",),
        "its momentum": ("norm_momentum",),
        "its epsilon": ("norm_eps",),
        "initialisation": ("init",),
    },
    "Optimisation": {
        "optimiser": ("optimizer",),
        "learning rate": ("lr",),
        "schedule": ("schedule",),
        "warm-up": ("warmup_steps",),
        "momentum": ("momentum",),
        "moments of Adam": ("beta1", "beta2"),
        "Langevin temperature": ("temperature",),
        "batch size": ("batch_size",),
        "gradient accumulation": ("accumulate",),
        "epochs": ("epochs",),
        "clipping": ("clip",),
        "precision": ("precision",),
        "averaged weights": ("ema_decay", "ema_every"),
    },
    "Regularisation and loss": {
        "weight decay": ("weight_decay",),
        "dropout": ("dropout",),
        "label smoothing": ("label_smoothing",),
        "focal loss": ("focal_gamma", "focal_alpha"),
        "class and data weights": ("class_weight", "data_weight"),
        "flip": ("flip",),
        "crop, shift": ("crop", "shift"),
        "rotation": ("rotate",),
        "colour": ("colour", "contrast"),
        "input noise": ("input_noise",),
        "early stopping": ("patience",),
        "share of the training data": ("train_share",),
    },
    "Boosting": {
        "rounds": ("rounds",),
        "shrinkage": ("learning_rate",),
        "depth of trees": ("max_depth",),
        "least leaf": ("min_samples_leaf", "min_child_weight"),
        "penalties": ("reg_lambda", "gamma"),
        "samples of rows, columns": ("subsample", "colsample_bytree"),
        "bins": ("max_bins",),
    },
    "Diffusion": {
        "path from data to noise": ("noise_schedule", "path"),
        "noise levels": ("timesteps",),
        "prediction": ("prediction",),
        "classes told, kept back": ("conditional", "label_drop"),
        "sampler": ("sampler",),
        "its steps, noise": ("steps", "eta"),
        "guidance": ("guidance",),
        "likelihood": ("likelihood_steps",),
        "channels of the levels": ("multipliers", "blocks"),
        "attention": ("attention",),
    },
    "Flows": {
        "invertible layers": ("layers",),
        "what says their amounts": ("net",),
        "noise": ("prior",),
        "pieces of a spline": ("bins",),
        "by halves": ("coupling",),
    },
    "Codes and latents": {
        "halvings of the side": ("halvings",),
        "codebook": ("codes", "dim"),
        "how codes follow": ("codebook", "decay"),
        "hold on the encoder": ("beta",),
        "codes not used": ("restart",),
        "latents": ("latent_channels",),
        "hold on the latents": ("kl",),
        "what is told, kept back": ("condition", "word_drop"),
    },
}
"""The taxonomy: group -> row -> names under which trainables declare it."""
PAGE = Path(__file__).parent / "hyperparameters.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->"


def table() -> str:
    """Markdown: for every row the trainables that have it, with range or choices of the first."""
    programs = {name: trainables.load(name).hyperparameters or {} for name in trainables.names()}
    descending = tuple(name for name, known in programs.items() if "optimizer" in known)
    lines = []
    for group, rows in ROWS.items():
        lines += [f"| {group} | declared as | worth searching | trainables |", "|---|---|---|---|"]
        for row, names in rows.items():
            having = [name for name, known in programs.items() if any(one in known for one in names)]
            who = ", ".join(f"`{name}`" for name in having)
            who = {tuple(programs): "all", descending: "all by gradients"}.get(tuple(having), who)
            first = {n: next(known[n] for known in programs.values() if n in known) for n in names}
            declared, ranges = (", ".join(f"`{n}`" for n in names), "; ".join(map(_range, first.values())))
            lines.append(f"| {row} | {declared} | {ranges} | {who} |")
        lines.append("")
    return "\n".join(lines)


def _range(known: trainables.Hyperparameter) -> str:
    if known.choices:
        return ", ".join(f"{one}" for one in known.choices)
    if known.low is None:
        return f"default {known.default}"
    return f"{known.low:g} to {known.high:g}" + (", logarithmic" if known.log else "")


def page() -> str:
    """The page with its table made anew."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page())
