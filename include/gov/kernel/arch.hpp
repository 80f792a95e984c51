// Backend tags. A tag inherits the one that its missing kernels fall back to: an overload for
// `avx2` serves `avx512` until the latter has its own. available() asks CPUID, and XCR0 for what
// the operating system saves of the registers.
#pragma once

#ifdef __FAST_MATH__
#error \
    "gov needs IEEE arithmetic (a fixed order of sums, NaN that shows): build it without -ffast-math"
#endif

#include <cpuid.h>

#include <cstdint>
#include <string_view>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

// Target attributes: kernels of every tag live in one binary built with default flags. A function
// so marked must contain no lambda and call no std:: template (neither inherits the attribute).
#define GOV_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define GOV_TARGET_AVX512 \
  __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")))
#define GOV_TARGET_AVX512_BF16                                              \
  __attribute__((                                                           \
      target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16," \
             "avx512vnni,avx512vbmi")))
#define GOV_INLINE inline __attribute__((always_inline))
// Before a loop of constant length over an array of registers: it must be unrolled at -O2 as well.
#ifdef __clang__
#define GOV_UNROLL _Pragma("unroll")
#else
#define GOV_UNROLL _Pragma("GCC unroll 16")
#endif

namespace gov::kernel {

struct CpuFeatures {
  bool avx2 = false, avx512 = false;  // avx2: with FMA and F16C; avx512: with BW, DQ and VL as well
  bool avx512_bf16 = false;           // with VNNI and VBMI as well: what the rounded products need
  bool amx = false;                   // tiles of bf16, and avx512_bf16; the system may still refuse
};

inline CpuFeatures detect_cpu() {
  CpuFeatures cpu;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return cpu;
  constexpr unsigned fma_osxsave_avx_f16c = (1u << 12) | (1u << 27) | (1u << 28) | (1u << 29);
  if ((c & fma_osxsave_avx_f16c) != fma_osxsave_avx_f16c) return cpu;
  unsigned xcr0 = 0, xcr0_high = 0;
  __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(xcr0_high) : "c"(0));
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return cpu;
  constexpr unsigned ymm_state = 0x06, zmm_state = 0xe6;
  constexpr unsigned f_dq_bw_vl = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
  cpu.avx2 = (xcr0 & ymm_state) == ymm_state && (b & (1u << 5)) != 0;
  cpu.avx512 = cpu.avx2 && (xcr0 & zmm_state) == zmm_state && (b & f_dq_bw_vl) == f_dq_bw_vl;
  constexpr unsigned vbmi_vnni = (1u << 1) | (1u << 11), bf16 = 1u << 5;
  const bool vnni = (c & vbmi_vnni) == vbmi_vnni;
  constexpr unsigned amx_bf16_tile = (1u << 22) | (1u << 24), tile_state = 0x60000;
  const bool tiles = (d & amx_bf16_tile) == amx_bf16_tile && (xcr0 & tile_state) == tile_state;
  if (vnni && __get_cpuid_count(7, 1, &a, &b, &c, &d)) cpu.avx512_bf16 = cpu.avx512 && (a & bf16);
  cpu.amx = cpu.avx512_bf16 && tiles;
  return cpu;
}

inline const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect_cpu();
  return features;
}

// Linux gives a process the tile registers when it asks for them, once for all its threads; a
// system before 5.16, or one that keeps them back, says no.
inline bool request_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM
  return ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

struct scalar {
  static constexpr std::string_view name = "scalar";
  static bool available() { return true; }
};

struct avx2 : scalar {
  static constexpr std::string_view name = "avx2";
  static bool available() { return cpu_features().avx2; }
};

struct avx512 : avx2 {
  static constexpr std::string_view name = "avx512";
  static bool available() { return cpu_features().avx512; }
};

struct amx : avx512 {
  static constexpr std::string_view name = "amx";
  static bool available() {
    static const bool granted = cpu_features().amx && request_tiles();
    return granted;
  }
};

// Only matmul, by Eigen's own kernels for the flags of this build: a second opinion, not a fast
// path.
struct eigen : scalar {
  static constexpr std::string_view name = "eigen";
  static bool available() { return true; }
};

}  // namespace gov::kernel
