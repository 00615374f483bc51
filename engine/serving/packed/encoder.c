/* A BERT encoder in eight bits for processors with AVX2 and FMA, or with AVX-512 VNNI.

   The tokens of all rows lie end to end, without padding. Each token's activations are quantised
   with a range of their own (unsigned, with a zero point), weights by output channel, and products
   are summed exactly; attention, norms and GELU are float32. So a row's outputs have the same bits
   whatever stands beside it, and on both kinds of processor, whose instructions and integer tiles
   are in the headers. engine/serving/packed/weights.py lays out the structs. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define INLINE static inline __attribute__((always_inline))
#define OUTLINE static __attribute__((noinline))
#define LANES 16 /* Of the headers' Floats and Ints. */

#ifdef __AVX512VNNI__
#include "vectors_avx512.h"
#else
#include "vectors_avx2.h"
#endif

#define TILE_COLUMNS (LANES * TILE_VECTORS)

const int32_t packed_columns_at_once = TILE_COLUMNS;

enum { OK = 0, NO_MEMORY = 1, BAD_INPUT = 2 };
enum Epilogue { STORE, GELU, ADD }; /* What is done to a product, bias included. */

typedef struct {
  const int8_t *weights; /* (columns / TILE_COLUMNS, depth / 4, TILE_COLUMNS, 4) */
  const float *scales, *bias;
  const int32_t *sums; /* Of each column's weights: what a zero point of one adds. */
  int64_t columns, depth;
} Linear;

typedef struct {
  Linear qkv, context, up, down;
  const float *attention_norm, *attention_shift, *output_norm, *output_shift;
} Layer;

typedef struct {
  int64_t layers, hidden, head_size, inner, words, positions, outputs, normalise;
  double epsilon;
  const uint16_t *word; /* float16, (words, hidden) */
  const float *position, *norm, *shift, *head, *head_bias;
  const Layer *layer;
} Encoder;

typedef struct { /* Quantised activations: value = (byte - zero) * scale, by token. */
  uint8_t *bytes;
  float *scales;
  int32_t *zeros;
} Activations;

typedef struct {
  float *states, *context, *qkv, *inner, *keys, *scores;
  Activations quantised;
} Scratch;

/* Adds in the same order on every processor. */
INLINE float v_sum(Floats x) {
  __m256 eight = _mm256_add_ps(low_half(x), high_half(x));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

INLINE float v_highest(Floats x) {
  __m256 eight = _mm256_max_ps(low_half(x), high_half(x));
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

/* x times the normal distribution's share below x: an odd polynomial on [-4, 4], off by 2e-4 at
   most, where a step of eight bits is 1e-2. */
INLINE Floats gelu(Floats x) {
  static const float terms[] = {2.278150335e-08f,  -1.598605469e-06f, 4.795557968e-05f,
                                -8.140160310e-04f, 8.772390844e-03f,  -6.457311592e-02f,
                                3.978833528e-01f};
  Floats near = v_max(v_min(x, v_set(4)), v_set(-4));
  Floats square = v_mul(near, near), sum = v_set(terms[0]);
#pragma GCC unroll 6
  for (int n = 1; n < 7; n++) sum = v_fma(sum, square, v_set(terms[n]));
  return v_mul(x, v_fma(sum, near, v_set(0.5f)));
}

INLINE Floats exponential(Floats x) {
  static const float terms[] = {1.8775767e-3f, 8.9893397e-3f, 5.5826318e-2f,
                                2.4015361e-1f, 6.9315308e-1f, 9.9999994e-1f};
  x = v_mul(v_max(x, v_set(-87)), v_set(1.44269504f));
  Floats whole = v_round(x), part = v_sub(x, whole);
  Floats sum = v_set(terms[0]);
#pragma GCC unroll 5
  for (int n = 1; n < 6; n++) sum = v_fma(sum, part, v_set(terms[n]));
  return v_scale(sum, whole);
}

/* `tokens` (a constant, at most TILE_TOKENS) times TILE_COLUMNS from `column` on, whose weights
   start at `weights`. `ahead`: how many cache lines from `next` on are fetched in each step. */
INLINE void tile(int tokens, const Linear *linear, int64_t column, const int8_t *weights,
                 Activations in, float *out, enum Epilogue epilogue, const char *next, int ahead) {
  Ints sums[TILE_TOKENS][TILE_VECTORS];
  sum_products(tokens, in.bytes, weights, linear->depth, sums, next, ahead);
#pragma GCC unroll 4
  for (int c = 0; c < TILE_VECTORS; c++) {
    int64_t place = column + LANES * c;
    Floats scales = v_load(linear->scales + place), bias = v_load(linear->bias + place);
    Ints column_sums = v_load_ints(linear->sums + place);
#pragma GCC unroll 6
    for (int t = 0; t < tokens; t++) {
      Floats product = v_less_product(sums[t][c], column_sums, in.zeros[t]);
      Floats value = v_fma(product, v_mul(scales, v_set(in.scales[t])), bias);
      float *target = out + t * linear->columns + place;
      if (epilogue == GELU) value = gelu(value);
      if (epilogue == ADD) value = v_add(value, v_load(target));
      v_store(target, value);
    }
  }
}

/* out (tokens, columns) = in times weights, plus bias. The weights of TILE_COLUMNS stay in the
   nearest cache while all tokens pass; the first tiles fetch those of the next columns. */
INLINE void multiply(int64_t tokens, const Linear *linear, Activations in, float *out,
                     enum Epilogue epilogue) {
  int64_t tiles = (tokens + TILE_TOKENS - 1) / TILE_TOKENS;
  int lines = tiles >= 4 ? 1 : (4 + tiles - 1) / tiles;
  for (int64_t column = 0; column < linear->columns; column += TILE_COLUMNS) {
    const int8_t *weights = linear->weights + column * linear->depth;
    const char *next = (const char *)(weights + TILE_COLUMNS * linear->depth);
    for (int64_t t = 0; t < tokens; t += TILE_TOKENS) {
      int ahead = t / TILE_TOKENS * lines < 4 ? lines : 0;
      Activations from = {in.bytes + t * linear->depth, in.scales + t, in.zeros + t};
      float *to = out + t * linear->columns;
#define TILE(n) tile(n, linear, column, weights, from, to, epilogue, next, ahead)
      switch (tokens - t) {
        case 1: TILE(1); break;
        case 2: TILE(2); break;
#if TILE_TOKENS > 3
        case 3: TILE(3); break;
        case 4: TILE(4); break;
        case 5: TILE(5); break;
#endif
        default: TILE(TILE_TOKENS);
      }
      next += ahead * TILE_COLUMNS / 4 * linear->depth;
    }
  }
}

OUTLINE void multiply_store(int64_t tokens, const Linear *linear, Activations in, float *out) {
  multiply(tokens, linear, in, out, STORE);
}
OUTLINE void multiply_gelu(int64_t tokens, const Linear *linear, Activations in, float *out) {
  multiply(tokens, linear, in, out, GELU);
}
OUTLINE void multiply_add(int64_t tokens, const Linear *linear, Activations in, float *out) {
  multiply(tokens, linear, in, out, ADD);
}

/* Token `token` of `out` becomes these values; their range, which includes 0, in 255 steps. */
static void quantise(const float *values, int64_t count, Activations out, int64_t token) {
  Floats low = v_set(0), high = low;
  for (int64_t i = 0; i < count; i += LANES) {
    Floats part = v_load(values + i);
    low = v_min(low, part), high = v_max(high, part);
  }
  float lowest = -v_highest(v_sub(v_set(0), low)), step = (v_highest(high) - lowest) / 255;
  if (!(step > 1e-30f)) step = 1;
  int32_t zero = (int32_t)lrintf(-lowest / step);
  Floats inverse = v_set(1 / step), offset = v_set((float)zero);
  for (int64_t i = 0; i < count; i += LANES) {
    Floats part = v_fma(v_load(values + i), inverse, offset);
    v_store_bytes(out.bytes + token * count + i, part);
  }
  out.scales[token] = step, out.zeros[token] = zero;
}

static void quantise_all(const float *values, int64_t tokens, int64_t count, Activations out) {
  for (int64_t token = 0; token < tokens; token++)
    quantise(values + token * count, count, out, token);
}

static void normalise(float *values, int64_t count, const float *norm, const float *shift,
                      float epsilon) {
  Floats sum = v_set(0), squares = sum;
  for (int64_t i = 0; i < count; i += LANES) sum = v_add(sum, v_load(values + i));
  Floats mean = v_set(v_sum(sum) / count);
  for (int64_t i = 0; i < count; i += LANES) {
    Floats off = v_sub(v_load(values + i), mean);
    squares = v_fma(off, off, squares);
  }
  Floats factor = v_set(1 / sqrtf(v_sum(squares) / count + epsilon));
  for (int64_t i = 0; i < count; i += LANES) {
    Floats unit = v_mul(v_sub(v_load(values + i), mean), factor);
    unit = v_fma(unit, v_load(norm + i), v_load(shift + i));
    v_store(values + i, unit);
  }
}

/* In place: each score's share of e to the power of all. Lanes from `count` on become 0. */
static void softmax(float *scores, int64_t count) {
  Floats high = v_set(-INFINITY), sum = v_set(0);
  for (int64_t i = 0; i < count; i += LANES)
    high = v_max(high, v_first(v_load(scores + i), count - i, -INFINITY));
  high = v_set(v_highest(high));
  for (int64_t i = 0; i < count; i += LANES) {
    Floats power = exponential(v_sub(v_load(scores + i), high));
    power = v_first(power, count - i, 0);
    sum = v_add(sum, power);
    v_store(scores + i, power);
  }
  Floats factor = v_set(1 / v_sum(sum));
  for (int64_t i = 0; i < count; i += LANES)
    v_store(scores + i, v_mul(v_load(scores + i), factor));
}

/* Scores of four queries for all keys; `keys` is (size, padded). */
INLINE void score(const float *const queries[4], const float *keys, int64_t padded, int size,
                  float *scores) {
  Floats factor = v_set(1 / sqrtf((float)size));
  for (int64_t j = 0; j < padded; j += LANES) {
    Floats sums[4] = {v_set(0), v_set(0), v_set(0),
                      v_set(0)};
    for (int d = 0; d < size; d++) {
      Floats key = v_load(keys + d * padded + j);
#pragma GCC unroll 4
      for (int q = 0; q < 4; q++)
        sums[q] = v_fma(v_set(queries[q][d]), key, sums[q]);
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++)
      v_store(scores + q * padded + j, v_mul(sums[q], factor));
  }
}

/* Attention of one row, whose queries, keys and values lie beside each other; `size` a constant. */
INLINE void attend(const float *qkv, int64_t tokens, int64_t hidden, int size, float *out,
                   float *keys, float *scores) {
  int64_t padded = (tokens + LANES - 1) / LANES * LANES, stride = 3 * hidden;
  for (int64_t head = 0; head < hidden; head += size) {
    const float *query = qkv + head, *key = query + hidden, *value = key + hidden;
    for (int64_t j = 0; j < padded; j++)
      for (int d = 0; d < size; d++) keys[d * padded + j] = j < tokens ? key[j * stride + d] : 0;
    for (int64_t i = 0; i < tokens; i += 4) {
      const float *queries[4];
      for (int q = 0; q < 4; q++) queries[q] = query + (i + q < tokens ? i + q : i) * stride;
      score(queries, keys, padded, size, scores);
      for (int q = 0; q < 4; q++) softmax(scores + q * padded, tokens);
      for (int part = 0; part < size; part += LANES) {
        Floats sums[4] = {v_set(0), v_set(0), v_set(0),
                          v_set(0)};
        for (int64_t j = 0; j < tokens; j++) {
          Floats values = v_load(value + j * stride + part);
#pragma GCC unroll 4
          for (int q = 0; q < 4; q++)
            sums[q] = v_fma(v_set(scores[q * padded + j]), values, sums[q]);
        }
        for (int q = 0; q < 4 && i + q < tokens; q++)
          v_store(out + (i + q) * hidden + head + part, sums[q]);
      }
    }
  }
}

static void embed(const Encoder *encoder, const int32_t *ids, int64_t tokens, float *states) {
  int64_t hidden = encoder->hidden;
  for (int64_t t = 0; t < tokens; t++, states += hidden) {
    const uint16_t *word = encoder->word + ids[t] * hidden;
    const float *position = encoder->position + t * hidden;
    for (int64_t i = 0; i < hidden; i += LANES) {
      Floats values = v_load_halves(word + i);
      v_store(states + i, v_add(values, v_load(position + i)));
    }
    normalise(states, hidden, encoder->norm, encoder->shift, (float)encoder->epsilon);
  }
}

static void run_layer(const Encoder *encoder, const Layer *layer, const int64_t *starts,
                      int64_t rows, Scratch s) {
  int64_t tokens = starts[rows], hidden = encoder->hidden;
  float epsilon = (float)encoder->epsilon;
  quantise_all(s.states, tokens, hidden, s.quantised);
  multiply_store(tokens, &layer->qkv, s.quantised, s.qkv);
  for (int64_t row = 0; row < rows; row++) {
    int64_t first = starts[row], count = starts[row + 1] - first;
    const float *qkv = s.qkv + 3 * hidden * first;
    float *context = s.context + hidden * first;
    if (encoder->head_size == 32) attend(qkv, count, hidden, 32, context, s.keys, s.scores);
    else attend(qkv, count, hidden, 64, context, s.keys, s.scores);
  }
  quantise_all(s.context, tokens, hidden, s.quantised);
  multiply_add(tokens, &layer->context, s.quantised, s.states);
  for (int64_t t = 0; t < tokens; t++)
    normalise(s.states + t * hidden, hidden, layer->attention_norm, layer->attention_shift,
              epsilon);
  quantise_all(s.states, tokens, hidden, s.quantised);
  multiply_gelu(tokens, &layer->up, s.quantised, s.inner);
  quantise_all(s.inner, tokens, encoder->inner, s.quantised);
  multiply_add(tokens, &layer->down, s.quantised, s.states);
  for (int64_t t = 0; t < tokens; t++)
    normalise(s.states + t * hidden, hidden, layer->output_norm, layer->output_shift, epsilon);
}

/* The mean of a row's states, and from it the row's outputs. */
static void finish_row(const Encoder *encoder, const float *states, int64_t tokens, float *mean,
                       float *outputs) {
  int64_t hidden = encoder->hidden;
  Floats count = v_set(tokens ? (float)tokens : 1), squares = v_set(0);
  for (int64_t i = 0; i < hidden; i += LANES) {
    Floats sum = v_set(0);
    for (int64_t t = 0; t < tokens; t++)
      sum = v_add(sum, v_load(states + t * hidden + i));
    sum = v_div(sum, count);
    squares = v_fma(sum, sum, squares);
    v_store(mean + i, sum);
  }
  float length = fmaxf(sqrtf(v_sum(squares)), 1e-12f);
  float factor = encoder->normalise ? 1 / length : 1;
  for (int64_t n = 0; n < encoder->outputs; n++) {
    Floats sum = v_set(0);
    for (int64_t i = 0; i < hidden; i += LANES) {
      Floats weights = v_load(encoder->head + n * hidden + i);
      sum = v_fma(weights, v_load(mean + i), sum);
    }
    outputs[n] = v_sum(sum) * factor + encoder->head_bias[n];
  }
}

static int check(const Encoder *encoder, const int32_t *ids, const int64_t *starts, int64_t rows) {
  for (int64_t row = 0; row < rows; row++) {
    int64_t count = starts[row + 1] - starts[row];
    if (count < 0 || count > encoder->positions) return BAD_INPUT;
  }
  for (int64_t t = 0; t < starts[rows]; t++)
    if (ids[t] < 0 || ids[t] >= encoder->words) return BAD_INPUT;
  return OK;
}

/* `row` has tokens ids[starts[row]] to ids[starts[row + 1]]. means: (rows, hidden); outputs: (rows,
   outputs). May be called by several threads at once. */
int packed_encode(const Encoder *encoder, const int32_t *ids, const int64_t *starts, int64_t rows,
                  float *means, float *outputs) {
  if (check(encoder, ids, starts, rows)) return BAD_INPUT;
  int64_t tokens = starts[rows], hidden = encoder->hidden, inner = encoder->inner, longest = 0;
  int64_t widest = inner > hidden ? inner : hidden;
  for (int64_t row = 0; row < rows; row++)
    if (starts[row + 1] - starts[row] > longest) longest = starts[row + 1] - starts[row];
  longest = (longest + LANES - 1) / LANES * LANES;
  size_t floats = tokens * (5 * hidden + inner + 2) + longest * (encoder->head_size + 4);
  size_t bytes = floats * sizeof(float) + tokens * widest + 64;
  Scratch s = {.states = aligned_alloc(64, (bytes + 63) / 64 * 64)};
  if (!s.states) return NO_MEMORY;
  s.context = s.states + tokens * hidden, s.qkv = s.context + tokens * hidden;
  s.inner = s.qkv + 3 * tokens * hidden, s.keys = s.inner + tokens * inner;
  s.scores = s.keys + longest * encoder->head_size;
  s.quantised.scales = s.scores + 4 * longest;
  s.quantised.zeros = (int32_t *)(s.quantised.scales + tokens);
  s.quantised.bytes = (uint8_t *)(s.quantised.zeros + tokens);
  for (int64_t row = 0; row < rows; row++)
    embed(encoder, ids + starts[row], starts[row + 1] - starts[row],
          s.states + starts[row] * hidden);
  for (int64_t n = 0; n < encoder->layers; n++)
    run_layer(encoder, encoder->layer + n, starts, rows, s);
  for (int64_t row = 0; row < rows; row++)
    finish_row(encoder, s.states + starts[row] * hidden, starts[row + 1] - starts[row],
               means + row * hidden, outputs + row * encoder->outputs);
  free(s.states);
  return OK;
}
