# What of llama.cpp is left out when llama-cpp-python is compiled, most of the time it would take:
# pictures (mtmd), which nothing here looks at, and what llama.cpp's own programs have in common,
# which that package asks for and never loads.  It asks by the cache, and a variable of the same
# name comes first; so this is read as each project begins (CMAKE_PROJECT_INCLUDE).
set(LLAVA_BUILD OFF)
set(LLAMA_BUILD_COMMON OFF)
