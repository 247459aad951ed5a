// Byte scans that use the widest registers of the processor at hand, chosen at run time. Needs nothing but the C
// language.
#pragma once

#include <stddef.h>

/// Returns how many bytes at the start of `bytes` are ASCII, in whole blocks of 256.
///
/// In C, because Swift cannot compile one function for several instruction sets and choose among them at run time.
size_t csidecar_ascii_blocks(const void *_Nonnull bytes, size_t count);
