"""Auxiliary outliers from a generative adversarial network, at the boundary of the data if a classifier is given.

Lee, Lee, Lee, Shin: "Training Confidence-calibrated Classifiers for Detecting Out-of-Distribution Samples", ICLR 2018.
With generator G, discriminator D, classifier p and the uniform distribution U (their eq. 4):

    min_G max_D min_p   E_data[ -log p(y|x) ] + beta E_G[ KL(U || p(y|x)) ] + E_data[ log D(x) ] + E_G[ log (1 - D(x)) ]

so that generated rows resemble the data where the classifier cannot decide, and the classifier learns not to decide
there. G is trained with the non-saturating form, -log D(G(z)) (Goodfellow et al., NeurIPS 2014), and D with a penalty
on its gradient at the data (R1: Mescheder, Geiger, Nowozin, ICML 2018), which steadies so small a pair. Outlier
exposure with real outliers was better than this in every comparison of Hendrycks et al., 2019, table 4.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from expose.encoders.layout import Layout
from expose.errors import InputError, NonFiniteLossError
from expose.networks.adversarial import Discriminator, Generator
from expose.outliers.pixels import checked_shape, unit
from expose.outliers.rows import Seed, count


class OutlierGAN:
    """A small generative adversarial network for tables of numbers, embeddings and small images.

    Parameters
    ----------
    steps : int, default=2000
        Training steps, each with one batch for the discriminator and one for the generator.
    batch_size : int, default=128
    latent : int, default=16
        Dimensions of the noise.
    width : int, default=128
        Of the hidden layers; channels, for images.
    learning_rate : float, default=1e-3
    penalty : float, default=0.1
        Weight of the squared gradient of the discriminator at the data.
    boundary_weight : float, default=1.0
        beta, the weight of ``KL(U || p)`` for generated rows; counts only where a classifier is given.
    random_state : int, Generator or None

    Attributes
    ----------
    generator_ : nn.Module
    history_ : list of (float, float)
        Losses of discriminator and generator at each step.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    >>> OutlierGAN(steps=50, random_state=0).fit(X).sample(4, random_state=0).shape
    (4, 3)
    """

    def __init__(
        self,
        *,
        steps: int = 2000,
        batch_size: int = 128,
        latent: int = 16,
        width: int = 128,
        learning_rate: float = 1e-3,
        penalty: float = 0.1,
        boundary_weight: float = 1.0,
        random_state: Seed = None,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.latent = latent
        self.width = width
        self.learning_rate = learning_rate
        self.penalty = penalty
        self.boundary_weight = boundary_weight
        self.random_state = random_state

    def fit(self, rows: NDArray[Any], y: Any = None, *, classifier: nn.Module | None = None) -> Self:
        """Train on normal rows.

        Parameters
        ----------
        rows : (n, D) array of finite numbers, or (n, H, W) or (n, H, W, C) images
            Images as bytes or numbers in [0, 1].
        y : (n,) array of int or None
            Classes 0 .. k - 1, for the classifier.
        classifier : nn.Module or None
            From float32 rows, (B, D) or (B, C, H, W) in [0, 1], to logits (B, k). With ``y`` it is trained in turn with
            the generator, in place; without, it stays as it is and only tells the generator where it is sure.

        Raises
        ------
        InputError
            When rows are not finite numbers or images in range, or ``y`` is given without a classifier.
        NonFiniteLossError
            When training diverges.
        """
        if y is not None and classifier is None:
            raise InputError("y is for training a classifier; give classifier=, or leave y out.")
        real = self._encoded(np.asarray(rows))
        labels = None if y is None else torch.as_tensor(np.asarray(y), dtype=torch.long)
        seed = int(np.random.default_rng(self.random_state).integers(2**62))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.generator_ = Generator(self._layout, self.latent, self.width)
            discriminator = Discriminator(self._layout, self.width)
        draws = torch.Generator().manual_seed(seed + 1)
        if classifier is not None and y is None:
            classifier.eval()
        players = _Players(self, discriminator, classifier, draws)
        self.history_ = []
        for step in range(self.steps):
            chosen = torch.randint(len(real), (self.batch_size,), generator=draws)
            losses = players.step(real[chosen], None if labels is None else labels[chosen])
            if not all(map(math.isfinite, losses)):
                raise NonFiniteLossError(f"the losses became {losses} in step {step}; lower learning_rate.")
            self.history_.append(losses)
        return self

    @torch.no_grad()
    def sample(self, n: int | None = None, *, random_state: Seed = None) -> NDArray[Any]:
        """Make ``n`` outliers (as many as there were rows, if None), in the shape and type of the rows of `fit`.

        Numbers of a table become float32 whatever they were.
        """
        seed = int(np.random.default_rng(random_state).integers(2**62))
        noise = torch.randn(count(n, self._n_rows), self.latent, generator=torch.Generator().manual_seed(seed))
        made = torch.cat([self.generator_(part) for part in torch.split(noise, 1024)])
        values = (made * self._spread + self._center).numpy()
        if self._layout.form == "vector":
            return values
        images = values.reshape(-1, *self._layout.shape).transpose(0, 2, 3, 1).reshape(-1, *self._shape)
        return np.round(images * 255).astype(np.uint8) if self._dtype == np.uint8 else images.astype(self._dtype)

    def as_given(self, rows: Tensor) -> Tensor:
        """Generated rows as the classifier is to see them."""
        return self._layout.unfold(rows * self._spread + self._center)

    def _encoded(self, rows: NDArray[Any]) -> Tensor:
        """Return rows as (n, D), scaled where they are a table."""
        if rows.ndim == 2 and len(rows) > 1 and rows.dtype.kind in "biuf" and np.isfinite(rows).all():
            values = torch.as_tensor(rows.astype(np.float32))
            self._layout = Layout("vector", rows.shape[1:])
            self._center, spread = values.mean(0), values.std(0)
            self._spread = torch.where(spread > 0, spread, 1.0)
        elif rows.ndim in (3, 4):
            height, width, channels = checked_shape(rows)
            values = torch.from_numpy(unit(rows, np.arange(len(rows))).transpose(0, 3, 1, 2).copy()).flatten(1)
            self._layout = Layout("image", (channels, height, width))
            self._center, self._spread = torch.zeros(()), torch.ones(())
        else:
            raise InputError(
                f"expected two rows or more of finite numbers, (n, D), or images; got an array of shape {rows.shape} "
                f"and type {rows.dtype}. Encode categories, fill what is missing."
            )
        self._n_rows, self._shape, self._dtype = len(rows), rows.shape[1:], rows.dtype
        return (values - self._center) / self._spread


class _Players:
    """Generator, discriminator and classifier, and a step of each."""

    def __init__(
        self, gan: OutlierGAN, discriminator: Discriminator, classifier: nn.Module | None, draws: torch.Generator
    ) -> None:
        self.gan, self.discriminator, self.classifier, self.draws = gan, discriminator, classifier, draws
        rate, betas = gan.learning_rate, (0.5, 0.9)
        self.of_generator = torch.optim.Adam(gan.generator_.parameters(), rate, betas)
        self.of_discriminator = torch.optim.Adam(discriminator.parameters(), rate, betas)
        self.of_classifier = None if classifier is None else torch.optim.Adam(classifier.parameters(), rate)

    def step(self, real: Tensor, labels: Tensor | None) -> tuple[float, float]:
        """A step of each; the losses of discriminator and generator."""
        noise = torch.randn(len(real), self.gan.latent, generator=self.draws)
        made = self.gan.generator_(noise)  # (B, D)
        discriminator_loss = self._discriminate(real, made.detach())
        loss = F.softplus(-self.discriminator(made)).mean()  # -log D(G(z))
        if self.classifier is not None:
            loss = loss + self._boundary(made)
        descend(loss, self.of_generator)
        if self.of_classifier is not None:  # also clears what the generator's loss left there
            self.of_classifier.zero_grad()
        if self.classifier is not None and self.of_classifier is not None and labels is not None:
            error = F.cross_entropy(self.classifier(self.gan.as_given(real)), labels)
            descend(error + self._boundary(made.detach()), self.of_classifier)
        return discriminator_loss, float(loss.detach())

    def _boundary(self, made: Tensor) -> Tensor:
        """Beta KL(U || p), the mean over generated rows."""
        assert self.classifier is not None
        logits = self.classifier(self.gan.as_given(made))
        return self.gan.boundary_weight * uniformity(logits).mean()

    def _discriminate(self, real: Tensor, made: Tensor) -> float:
        """A step of the discriminator: -log D(x) - log (1 - D(G(z))), and the penalty."""
        real = real.clone().requires_grad_()
        realness = self.discriminator(real)
        (gradient,) = torch.autograd.grad(realness.sum(), real, create_graph=True)
        steep = gradient.square().sum(-1).mean()
        loss = F.softplus(-realness).mean() + F.softplus(self.discriminator(made)).mean() + self.gan.penalty / 2 * steep
        descend(loss, self.of_discriminator)
        return float(loss.detach())


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step of gradient descent."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def uniformity(logits: Tensor) -> Tensor:
    """``KL(U || softmax(logits))``, ``(B, k) -> (B,)``: 0 where all classes are equally likely.

    >>> uniformity(torch.tensor([[1.0, 1.0], [0.0, 50.0]])).round(decimals=1)
    tensor([ 0.0000, 24.3000])
    """
    return logits.logsumexp(-1) - logits.mean(-1) - math.log(logits.shape[-1])
