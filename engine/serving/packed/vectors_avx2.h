/* 16 floats or integers at once, in two registers, for processors with AVX2, FMA and F16C.

   Each function has the bits of the one in vectors_avx512.h: a model's outputs are the same on both
   kinds of processor. */

typedef struct {
  __m256 low, high;
} Floats;

typedef struct {
  __m256i low, high;
} Ints;

INLINE Floats v_set(float x) { return (Floats){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }

INLINE Floats v_load(const float *from) {
  return (Floats){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}

INLINE Floats v_load_halves(const uint16_t *from) {
  const __m128i *parts = (const __m128i *)from;
  return (Floats){_mm256_cvtph_ps(_mm_loadu_si128(parts)),
                  _mm256_cvtph_ps(_mm_loadu_si128(parts + 1))};
}

INLINE void v_store(float *to, Floats x) {
  _mm256_storeu_ps(to, x.low);
  _mm256_storeu_ps(to + 8, x.high);
}

/* Rounded, and kept from 0 to 255. */
INLINE void v_store_bytes(uint8_t *to, Floats x) {
  __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high));
  words = _mm256_permute4x64_epi64(words, 0xd8);
  __m128i low = _mm256_castsi256_si128(words), high = _mm256_extracti128_si256(words, 1);
  _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(low, high));
}

INLINE Floats v_add(Floats x, Floats y) {
  return (Floats){_mm256_add_ps(x.low, y.low), _mm256_add_ps(x.high, y.high)};
}

INLINE Floats v_sub(Floats x, Floats y) {
  return (Floats){_mm256_sub_ps(x.low, y.low), _mm256_sub_ps(x.high, y.high)};
}

INLINE Floats v_mul(Floats x, Floats y) {
  return (Floats){_mm256_mul_ps(x.low, y.low), _mm256_mul_ps(x.high, y.high)};
}

INLINE Floats v_div(Floats x, Floats y) {
  return (Floats){_mm256_div_ps(x.low, y.low), _mm256_div_ps(x.high, y.high)};
}

INLINE Floats v_fma(Floats x, Floats y, Floats z) {
  return (Floats){_mm256_fmadd_ps(x.low, y.low, z.low), _mm256_fmadd_ps(x.high, y.high, z.high)};
}

INLINE Floats v_min(Floats x, Floats y) {
  return (Floats){_mm256_min_ps(x.low, y.low), _mm256_min_ps(x.high, y.high)};
}

INLINE Floats v_max(Floats x, Floats y) {
  return (Floats){_mm256_max_ps(x.low, y.low), _mm256_max_ps(x.high, y.high)};
}

INLINE Floats v_round(Floats x) {
  return (Floats){_mm256_round_ps(x.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                  _mm256_round_ps(x.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

INLINE __m256 two_to_the(__m256 whole) {
  __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

/* x times 2 to the power of `whole`, from -126 to 127. */
INLINE Floats v_scale(Floats x, Floats whole) {
  return v_mul(x, (Floats){two_to_the(whole.low), two_to_the(whole.high)});
}

/* Lanes from `count` on become `other`. */
INLINE Floats v_first(Floats x, int64_t count, float other) {
  __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  __m256i end = _mm256_set1_epi32(count < 16 ? (int)count : 16);
  __m256i low = _mm256_cmpgt_epi32(end, lane);
  __m256i high = _mm256_cmpgt_epi32(end, _mm256_add_epi32(lane, _mm256_set1_epi32(8)));
  __m256 others = _mm256_set1_ps(other);
  return (Floats){_mm256_blendv_ps(others, x.low, _mm256_castsi256_ps(low)),
                  _mm256_blendv_ps(others, x.high, _mm256_castsi256_ps(high))};
}

INLINE __m256 low_half(Floats x) { return x.low; }
INLINE __m256 high_half(Floats x) { return x.high; }

INLINE Ints v_load_ints(const int32_t *from) {
  const __m256i *parts = (const __m256i *)from;
  return (Ints){_mm256_loadu_si256(parts), _mm256_loadu_si256(parts + 1)};
}

/* x minus y times z, as floats. */
INLINE Floats v_less_product(Ints x, Ints y, int32_t z) {
  __m256i factor = _mm256_set1_epi32(z);
  __m256i low = _mm256_sub_epi32(x.low, _mm256_mullo_epi32(y.low, factor));
  __m256i high = _mm256_sub_epi32(x.high, _mm256_mullo_epi32(y.high, factor));
  return (Floats){_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)};
}

/* The integer tile: 3 tokens times 16 columns, for which 6 registers hold sums of 32 bits, and 6
   those of 16. */
#define TILE_TOKENS 3
#define TILE_VECTORS 1

/* By intrinsics GCC keeps all products at once, for which there are too few registers. */
#define MULTIPLY(sums, bytes, weights) \
  __asm__ volatile("vpmaddubsw %2, %1, %0" : "=x"(sums) : "x"(bytes), "x"(weights))
#define ADD_PRODUCTS(sums, bytes, weights)                        \
  __asm__ volatile("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" \
                   : "+x"(sums), "=&x"(product)                   \
                   : "x"(bytes), "x"(weights))

/* sums[token][0] = the products of `tokens` rows of bytes with 16 columns of weights. Four of them
   are added in 16 bits: weights.py takes steps so long ("bounded") that no such sum is too large. */
INLINE void sum_products(int tokens, const uint8_t *bytes, const int8_t *weights, int64_t depth,
                         Ints sums[TILE_TOKENS][TILE_VECTORS], const char *next, int ahead) {
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 3
  for (int t = 0; t < tokens; t++) sums[t][0].low = sums[t][0].high = _mm256_setzero_si256();
  for (int64_t k = 0; k < depth; k += 16, weights += 256) {
    __m256i low[TILE_TOKENS], high[TILE_TOKENS], product;
    for (int line = 0; line < ahead; line++, next += 64) _mm_prefetch(next, _MM_HINT_T1);
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
      __m256i w0 = _mm256_load_si256((const __m256i *)(weights + 64 * part));
      __m256i w1 = _mm256_load_si256((const __m256i *)(weights + 64 * part + 32));
#pragma GCC unroll 3
      for (int t = 0; t < tokens; t++) {
        __m256i four = _mm256_set1_epi32(*(const int32_t *)(bytes + t * depth + k + 4 * part));
        if (part % 2 == 0) {
          MULTIPLY(low[t], four, w0);
          MULTIPLY(high[t], four, w1);
        } else {
          ADD_PRODUCTS(low[t], four, w0);
          ADD_PRODUCTS(high[t], four, w1);
        }
      }
      if (part % 2 == 0) continue;
#pragma GCC unroll 3
      for (int t = 0; t < tokens; t++) {
        sums[t][0].low = _mm256_add_epi32(sums[t][0].low, _mm256_madd_epi16(low[t], ones));
        sums[t][0].high = _mm256_add_epi32(sums[t][0].high, _mm256_madd_epi16(high[t], ones));
      }
    }
  }
}
