/* A BERT encoder in eight bits for processors with AVX-512 VNNI.

   The tokens of all rows lie end to end, without padding. Each token's activations are quantised
   with a range of their own (unsigned, with a zero point), weights by output channel, and products
   are summed exactly in 32 bits; attention, norms and GELU are float32. So a row's outputs have the
   same bits whatever stands beside it. engine/serving/packed/weights.py lays out the structs. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define INLINE static inline __attribute__((always_inline))
#define OUTLINE static __attribute__((noinline))
#define LANES 16       /* float32 in a register */
#define TILE_TOKENS 6  /* 24 of the 32 registers hold sums, */
#define TILE_COLUMNS 64

enum { OK = 0, NO_MEMORY = 1, BAD_INPUT = 2 };
enum Epilogue { STORE, GELU, ADD }; /* What is done to a product, bias included. */

typedef struct {
  const int8_t *weights; /* (columns / 64, depth / 4, 64, 4) */
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

/* x times the normal distribution's share below x: an odd polynomial on [-4, 4], off by 2e-4 at
   most, where a step of eight bits is 1e-2. */
INLINE __m512 gelu(__m512 x) {
  static const float terms[] = {2.278150335e-08f,  -1.598605469e-06f, 4.795557968e-05f,
                                -8.140160310e-04f, 8.772390844e-03f,  -6.457311592e-02f,
                                3.978833528e-01f};
  __m512 near = _mm512_max_ps(_mm512_min_ps(x, _mm512_set1_ps(4)), _mm512_set1_ps(-4));
  __m512 square = _mm512_mul_ps(near, near), sum = _mm512_set1_ps(terms[0]);
#pragma GCC unroll 6
  for (int n = 1; n < 7; n++) sum = _mm512_fmadd_ps(sum, square, _mm512_set1_ps(terms[n]));
  return _mm512_mul_ps(x, _mm512_fmadd_ps(sum, near, _mm512_set1_ps(0.5f)));
}

INLINE __m512 exponential(__m512 x) {
  static const float terms[] = {1.8775767e-3f, 8.9893397e-3f, 5.5826318e-2f,
                                2.4015361e-1f, 6.9315308e-1f, 9.9999994e-1f};
  x = _mm512_mul_ps(_mm512_max_ps(x, _mm512_set1_ps(-87)), _mm512_set1_ps(1.44269504f));
  __m512 whole = _mm512_roundscale_ps(x, 0), part = _mm512_sub_ps(x, whole);
  __m512 sum = _mm512_set1_ps(terms[0]);
#pragma GCC unroll 5
  for (int n = 1; n < 6; n++) sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(terms[n]));
  return _mm512_scalef_ps(sum, whole);
}

/* GCC's intrinsic makes it copy the sums from register to register; this does not. */
#define ADD_PRODUCTS(sums, bytes, weights) \
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(bytes), "v"(weights))

/* `tokens` (a constant, at most TILE_TOKENS) times 64 columns from `column` on, whose weights start
   at `weights`. `ahead`: how many cache lines from `next` on are fetched in each step. */
INLINE void tile(int tokens, const Linear *linear, int64_t column, const int8_t *weights,
                 Activations in, float *out, enum Epilogue epilogue, const char *next, int ahead) {
  __m512i sums[TILE_TOKENS][4];
#pragma GCC unroll 6
  for (int t = 0; t < tokens; t++)
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) sums[t][c] = _mm512_setzero_si512();
  for (int64_t k = 0; k < linear->depth; k += 4, weights += 256) {
    __m512i w0 = _mm512_loadu_si512(weights), w1 = _mm512_loadu_si512(weights + 64);
    __m512i w2 = _mm512_loadu_si512(weights + 128), w3 = _mm512_loadu_si512(weights + 192);
    for (int line = 0; line < ahead; line++, next += 64) _mm_prefetch(next, _MM_HINT_T1);
#pragma GCC unroll 6
    for (int t = 0; t < tokens; t++) {
      __m512i bytes = _mm512_set1_epi32(*(const int32_t *)(in.bytes + t * linear->depth + k));
      ADD_PRODUCTS(sums[t][0], bytes, w0);
      ADD_PRODUCTS(sums[t][1], bytes, w1);
      ADD_PRODUCTS(sums[t][2], bytes, w2);
      ADD_PRODUCTS(sums[t][3], bytes, w3);
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    int64_t place = column + LANES * c;
    __m512 scales = _mm512_loadu_ps(linear->scales + place);
    __m512 bias = _mm512_loadu_ps(linear->bias + place);
    __m512i column_sums = _mm512_loadu_si512(linear->sums + place);
#pragma GCC unroll 6
    for (int t = 0; t < tokens; t++) {
      __m512i shift = _mm512_mullo_epi32(_mm512_set1_epi32(in.zeros[t]), column_sums);
      __m512 product = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[t][c], shift));
      __m512 scale = _mm512_mul_ps(scales, _mm512_set1_ps(in.scales[t]));
      __m512 value = _mm512_fmadd_ps(product, scale, bias);
      float *target = out + t * linear->columns + place;
      if (epilogue == GELU) value = gelu(value);
      if (epilogue == ADD) value = _mm512_add_ps(value, _mm512_loadu_ps(target));
      _mm512_storeu_ps(target, value);
    }
  }
}

/* out (tokens, columns) = in times weights, plus bias. Columns by 64, so that their weights stay in
   the nearest cache while all tokens pass; the first tiles fetch those of the next 64. */
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
        case 3: TILE(3); break;
        case 4: TILE(4); break;
        case 5: TILE(5); break;
        default: TILE(TILE_TOKENS);
      }
      next += ahead * 16 * linear->depth;
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
  __m512 low = _mm512_setzero_ps(), high = low;
  for (int64_t i = 0; i < count; i += LANES) {
    __m512 part = _mm512_loadu_ps(values + i);
    low = _mm512_min_ps(low, part), high = _mm512_max_ps(high, part);
  }
  float lowest = _mm512_reduce_min_ps(low), step = (_mm512_reduce_max_ps(high) - lowest) / 255;
  if (!(step > 1e-30f)) step = 1;
  int32_t zero = (int32_t)lrintf(-lowest / step);
  __m512 inverse = _mm512_set1_ps(1 / step), offset = _mm512_set1_ps((float)zero);
  for (int64_t i = 0; i < count; i += LANES) {
    __m512 part = _mm512_fmadd_ps(_mm512_loadu_ps(values + i), inverse, offset);
    __m512i steps = _mm512_max_epi32(_mm512_cvtps_epi32(part), _mm512_setzero_si512());
    _mm_storeu_si128((__m128i *)(out.bytes + token * count + i), _mm512_cvtusepi32_epi8(steps));
  }
  out.scales[token] = step, out.zeros[token] = zero;
}

static void quantise_all(const float *values, int64_t tokens, int64_t count, Activations out) {
  for (int64_t token = 0; token < tokens; token++)
    quantise(values + token * count, count, out, token);
}

static void normalise(float *values, int64_t count, const float *norm, const float *shift,
                      float epsilon) {
  __m512 sum = _mm512_setzero_ps(), squares = sum;
  for (int64_t i = 0; i < count; i += LANES) sum = _mm512_add_ps(sum, _mm512_loadu_ps(values + i));
  __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / count);
  for (int64_t i = 0; i < count; i += LANES) {
    __m512 off = _mm512_sub_ps(_mm512_loadu_ps(values + i), mean);
    squares = _mm512_fmadd_ps(off, off, squares);
  }
  __m512 factor = _mm512_set1_ps(1 / sqrtf(_mm512_reduce_add_ps(squares) / count + epsilon));
  for (int64_t i = 0; i < count; i += LANES) {
    __m512 unit = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(values + i), mean), factor);
    unit = _mm512_fmadd_ps(unit, _mm512_loadu_ps(norm + i), _mm512_loadu_ps(shift + i));
    _mm512_storeu_ps(values + i, unit);
  }
}

/* In place: each score's share of e to the power of all. Lanes from `count` on become 0. */
static void softmax(float *scores, int64_t count) {
  __m512 highest = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += LANES) {
    __mmask16 real = count - i >= LANES ? 0xffff : (1 << (count - i)) - 1;
    highest = _mm512_mask_max_ps(highest, real, highest, _mm512_loadu_ps(scores + i));
  }
  highest = _mm512_set1_ps(_mm512_reduce_max_ps(highest));
  for (int64_t i = 0; i < count; i += LANES) {
    __mmask16 real = count - i >= LANES ? 0xffff : (1 << (count - i)) - 1;
    __m512 power = exponential(_mm512_sub_ps(_mm512_loadu_ps(scores + i), highest));
    power = _mm512_maskz_mov_ps(real, power);
    sum = _mm512_add_ps(sum, power);
    _mm512_storeu_ps(scores + i, power);
  }
  __m512 factor = _mm512_set1_ps(1 / _mm512_reduce_add_ps(sum));
  for (int64_t i = 0; i < count; i += LANES)
    _mm512_storeu_ps(scores + i, _mm512_mul_ps(_mm512_loadu_ps(scores + i), factor));
}

/* Scores of four queries for all keys; `keys` is (size, padded). */
INLINE void score(const float *const queries[4], const float *keys, int64_t padded, int size,
                  float *scores) {
  __m512 factor = _mm512_set1_ps(1 / sqrtf((float)size));
  for (int64_t j = 0; j < padded; j += LANES) {
    __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                      _mm512_setzero_ps()};
    for (int d = 0; d < size; d++) {
      __m512 key = _mm512_loadu_ps(keys + d * padded + j);
#pragma GCC unroll 4
      for (int q = 0; q < 4; q++)
        sums[q] = _mm512_fmadd_ps(_mm512_set1_ps(queries[q][d]), key, sums[q]);
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++)
      _mm512_storeu_ps(scores + q * padded + j, _mm512_mul_ps(sums[q], factor));
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
        __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                          _mm512_setzero_ps()};
        for (int64_t j = 0; j < tokens; j++) {
          __m512 values = _mm512_loadu_ps(value + j * stride + part);
#pragma GCC unroll 4
          for (int q = 0; q < 4; q++)
            sums[q] = _mm512_fmadd_ps(_mm512_set1_ps(scores[q * padded + j]), values, sums[q]);
        }
        for (int q = 0; q < 4 && i + q < tokens; q++)
          _mm512_storeu_ps(out + (i + q) * hidden + head + part, sums[q]);
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
      __m512 values = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(word + i)));
      _mm512_storeu_ps(states + i, _mm512_add_ps(values, _mm512_loadu_ps(position + i)));
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
  __m512 count = _mm512_set1_ps(tokens ? (float)tokens : 1), squares = _mm512_setzero_ps();
  for (int64_t i = 0; i < hidden; i += LANES) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t t = 0; t < tokens; t++)
      sum = _mm512_add_ps(sum, _mm512_loadu_ps(states + t * hidden + i));
    sum = _mm512_div_ps(sum, count);
    squares = _mm512_fmadd_ps(sum, sum, squares);
    _mm512_storeu_ps(mean + i, sum);
  }
  float length = fmaxf(sqrtf(_mm512_reduce_add_ps(squares)), 1e-12f);
  float factor = encoder->normalise ? 1 / length : 1;
  for (int64_t n = 0; n < encoder->outputs; n++) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < hidden; i += LANES) {
      __m512 weights = _mm512_loadu_ps(encoder->head + n * hidden + i);
      sum = _mm512_fmadd_ps(weights, _mm512_loadu_ps(mean + i), sum);
    }
    outputs[n] = _mm512_reduce_add_ps(sum) * factor + encoder->head_bias[n];
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
