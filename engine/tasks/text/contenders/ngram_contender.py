"""Fits the linear model on n-grams beside the network of a text job: of the base model's tokens, or
of single characters where those say more or the base model does not know the script."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from engine.data import baselines
from engine.data.tokenization import TokenizedRows, tokenize_texts
from engine.prediction_heads import PredictionHead
from engine.prediction_heads.interface import Outputs, Rows
from engine.tasks.text.base_models import UNKNOWN_TOKEN
from engine.tasks.text.contenders.folds import measure_by_folds
from engine.tasks.text.contenders.ngrams import NgramModel, fit_ngrams
from engine.tasks.text.prepare import PreparedTexts
from engine.tasks.unknown_tokens import MAX_UNKNOWN_SHARE, share_of_unknown

PAD_TOKEN = "[PAD]"
SPECIAL_TOKENS = ("[CLS]", "[SEP]", "<s>", "</s>", "<pad>", PAD_TOKEN)
MAX_CHARACTERS = 6000  # Different ones that a tokenizer of characters knows; the commonest.
MAX_TEXT_CHARACTERS = 4000
LONGEST_TOKEN_NGRAM, LONGEST_CHARACTER_NGRAM = 2, 4
# Training rows times outputs. 100,000 take a second or two of words, five times that of characters.
MAX_CHARACTER_COST = 150_000
MAX_COST = 400_000


@dataclass(frozen=True)
class NgramContender:
    """A fitted model, and all rows as it reads them."""

    model: NgramModel
    tokenizer: Tokenizer
    rows: TokenizedRows
    unit: str  # "words" or "characters".
    strength: float  # The inverse regularisation C.
    folded_quality: float | None = None  # By `measure_by_folds`.

    @property
    def name(self) -> str:
        return f"linear model on {self.unit}"

    def outputs(self, rows: Rows) -> Outputs:
        return self.model.outputs([self.rows.ids[row] for row in rows])

    def refit(self, head: PredictionHead, train: Rows) -> "NgramContender":
        """The same kind of model with the same settings, fitted on other training rows."""
        nothing = train[:0]
        fitted = _fit_model(
            self.tokenizer, self.rows, self.unit, head, train, nothing, self.strength
        )
        return replace(self, model=fitted[0]) if fitted else self


def fit_ngram_contender(prepared: PreparedTexts) -> NgramContender | None:
    """The better of both units; None where it would cost too much. Beside the quick method words
    alone, where the base model knows them: characters take many times as long."""
    split, head = prepared.split, prepared.prediction_head
    train = baselines.sample_training_rows(split.train, prepared.spec.split.seed)
    cost = len(train) * head.outputs
    unknown_share = share_of_unknown(prepared.tokenizer, [prepared.rows.ids[row] for row in train])
    if cost > MAX_COST:
        return None
    contenders = []
    if unknown_share <= MAX_UNKNOWN_SHARE:
        contenders.append(_fit(prepared, prepared.tokenizer, prepared.rows, train, "words"))
    is_quick = prepared.method == "probe"
    if not contenders or (cost <= MAX_CHARACTER_COST and not is_quick):
        texts = [text[:MAX_TEXT_CHARACTERS] for text in prepared.examples.texts]
        tokenizer = train_character_tokenizer([texts[row] for row in train])
        rows = tokenize_texts(tokenizer, texts, MAX_TEXT_CHARACTERS)
        contenders.append(_fit(prepared, tokenizer, rows, train, "characters"))
    fitted = [
        replace(contender, folded_quality=_measure(prepared, contender))
        for contender in contenders
        if contender is not None
    ]
    return max(fitted, key=lambda one: _quality(prepared, one), default=None)


def _measure(prepared: PreparedTexts, contender: NgramContender) -> float | None:
    head = prepared.prediction_head
    return measure_by_folds(prepared, lambda rows: contender.refit(head, rows).outputs)


def _quality(prepared: PreparedTexts, contender: NgramContender) -> float:
    """By folds, or else by the validation rows, if there are any."""
    validation = prepared.split.validation
    if contender.folded_quality is not None:
        return contender.folded_quality
    if not len(validation):
        return 0.0
    return prepared.prediction_head.quality(contender.outputs(validation), validation)


def _fit(
    prepared: PreparedTexts, tokenizer: Tokenizer, rows: TokenizedRows, train: Rows, unit: str
) -> NgramContender | None:
    fitted = _fit_model(
        tokenizer, rows, unit, prepared.prediction_head, train, prepared.split.validation
    )
    return NgramContender(fitted[0], tokenizer, rows, unit, fitted[1]) if fitted else None


def _fit_model(
    tokenizer: Tokenizer,
    rows: TokenizedRows,
    unit: str,
    head: PredictionHead,
    train: Rows,
    validation: Rows,
    strength: float | None = None,
) -> tuple[NgramModel, float] | None:
    special = (tokenizer.token_to_id(token) for token in SPECIAL_TOKENS)
    return fit_ngrams(
        rows.ids,
        head,
        train,
        validation,
        vocabulary=tokenizer.get_vocab_size(),
        longest=LONGEST_TOKEN_NGRAM if unit == "words" else LONGEST_CHARACTER_NGRAM,
        special=[token for token in special if token is not None],
        strength=strength,
    )


def train_character_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """One token a character, lower case: for scripts that a base model's vocabulary lacks."""
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    counts = Counter(letter for text in texts for letter in normalizer.normalize_str(text))
    letters = [letter for letter, _ in counts.most_common(MAX_CHARACTERS)]
    tokens: Sequence[str] = [PAD_TOKEN, UNKNOWN_TOKEN, *letters]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token=UNKNOWN_TOKEN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens([AddedToken(PAD_TOKEN), AddedToken(UNKNOWN_TOKEN)])
    return tokenizer
