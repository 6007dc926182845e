/*
 * Read before every C file: see ../config.toml.
 *
 * zstd asks the processor for BMI2 each time it makes a context. Here the answer is no, and nothing asks.
 *
 * The first macro makes the definition, `ZSTD_cpuSupportsBmi2(void)`, into that of a function which nobody calls, and the
 * calls, `ZSTD_cpuSupportsBmi2()`, into the second one.
 */
#define DYNAMIC_BMI2 0
#define ZSTD_cpuSupportsBmi2(...) zstd_does_not_ask_##__VA_ARGS__()
#define zstd_does_not_ask_() 0
