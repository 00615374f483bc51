/* 16 floats or integers at once for processors with AVX-512 VNNI; vectors_avx2.h has the same
   functions. */

typedef __m512 Floats;
typedef __m512i Ints;

INLINE Floats v_set(float x) { return _mm512_set1_ps(x); }

INLINE Floats v_load(const float *from) { return _mm512_loadu_ps(from); }

INLINE Floats v_load_halves(const uint16_t *from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
}

INLINE void v_store(float *to, Floats x) { _mm512_storeu_ps(to, x); }

/* Rounded, and kept from 0 to 255. */
INLINE void v_store_bytes(uint8_t *to, Floats x) {
  __m512i steps = _mm512_max_epi32(_mm512_cvtps_epi32(x), _mm512_setzero_si512());
  _mm_storeu_si128((__m128i *)to, _mm512_cvtusepi32_epi8(steps));
}

INLINE Floats v_add(Floats x, Floats y) { return _mm512_add_ps(x, y); }

INLINE Floats v_sub(Floats x, Floats y) { return _mm512_sub_ps(x, y); }

INLINE Floats v_mul(Floats x, Floats y) { return _mm512_mul_ps(x, y); }

INLINE Floats v_div(Floats x, Floats y) { return _mm512_div_ps(x, y); }

INLINE Floats v_fma(Floats x, Floats y, Floats z) { return _mm512_fmadd_ps(x, y, z); }

INLINE Floats v_min(Floats x, Floats y) { return _mm512_min_ps(x, y); }

INLINE Floats v_max(Floats x, Floats y) { return _mm512_max_ps(x, y); }

INLINE Floats v_round(Floats x) { return _mm512_roundscale_ps(x, 0); }

/* x times 2 to the power of `whole`, from -126 to 127. */
INLINE Floats v_scale(Floats x, Floats whole) { return _mm512_scalef_ps(x, whole); }

/* Lanes from `count` on become `other`. */
INLINE Floats v_first(Floats x, int64_t count, float other) {
  __mmask16 first = count < 16 ? (1 << count) - 1 : 0xffff;
  return _mm512_mask_mov_ps(_mm512_set1_ps(other), first, x);
}

INLINE __m256 low_half(Floats x) { return _mm512_castps512_ps256(x); }
INLINE __m256 high_half(Floats x) { return _mm512_extractf32x8_ps(x, 1); }

INLINE Ints v_load_ints(const int32_t *from) { return _mm512_loadu_si512(from); }

/* x minus y times z, as floats. */
INLINE Floats v_less_product(Ints x, Ints y, int32_t z) {
  return _mm512_cvtepi32_ps(_mm512_sub_epi32(x, _mm512_mullo_epi32(y, _mm512_set1_epi32(z))));
}

/* The integer tile: 6 tokens times 64 columns, whose sums take 24 of the 32 registers. */
#define TILE_TOKENS 6
#define TILE_VECTORS 4

/* GCC's intrinsic makes it copy the sums from register to register; this does not. */
#define ADD_PRODUCTS(sums, bytes, weights) \
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(bytes), "v"(weights))

/* sums[token][vector] = the products of `tokens` rows of bytes with 64 columns of weights. */
INLINE void sum_products(int tokens, const uint8_t *bytes, const int8_t *weights, int64_t depth,
                         Ints sums[TILE_TOKENS][TILE_VECTORS], const char *next, int ahead) {
#pragma GCC unroll 6
  for (int t = 0; t < tokens; t++)
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) sums[t][c] = _mm512_setzero_si512();
  for (int64_t k = 0; k < depth; k += 4, weights += 256) {
    __m512i w0 = _mm512_loadu_si512(weights), w1 = _mm512_loadu_si512(weights + 64);
    __m512i w2 = _mm512_loadu_si512(weights + 128), w3 = _mm512_loadu_si512(weights + 192);
    for (int line = 0; line < ahead; line++, next += 64) _mm_prefetch(next, _MM_HINT_T1);
#pragma GCC unroll 6
    for (int t = 0; t < tokens; t++) {
      __m512i four = _mm512_set1_epi32(*(const int32_t *)(bytes + t * depth + k));
      ADD_PRODUCTS(sums[t][0], four, w0);
      ADD_PRODUCTS(sums[t][1], four, w1);
      ADD_PRODUCTS(sums[t][2], four, w2);
      ADD_PRODUCTS(sums[t][3], four, w3);
    }
  }
}
