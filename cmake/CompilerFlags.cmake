# INTERFACE target with the flags of every C++ target here.
add_library(hairpind_flags INTERFACE)
target_compile_options(hairpind_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  $<$<BOOL:${HAIRPIND_WARNINGS_AS_ERRORS}>:-Werror>)
# The same source makes the same binary, wherever it is built. Nothing of what runs names a file; but the debug information does,
# which the build id is a checksum of, and that stays when the binary is stripped. Debug builds are for a debugger that looks for
# the files.
target_compile_options(hairpind_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=>)
# Hardening: this runs as root on somebody's production node.
target_compile_options(hairpind_flags INTERFACE -fstack-protector-strong -fno-omit-frame-pointer)
target_link_options(hairpind_flags INTERFACE -Wl,-z,relro,-z,now)
if(HAIRPIND_SANITIZE)
  target_compile_options(hairpind_flags INTERFACE -fsanitize=${HAIRPIND_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(hairpind_flags INTERFACE -fsanitize=${HAIRPIND_SANITIZE})
  if(HAIRPIND_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # Coverage counters for tests/fuzz; without a fuzzer they count for nobody.
    target_compile_options(hairpind_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>)
    target_link_options(hairpind_flags INTERFACE -fsanitize=fuzzer-no-link)
  endif()
else()
  # Needs an optimized build, and hides from the sanitizers what they look for.
  target_compile_options(hairpind_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()
# libstdc++ 12's stable_sort asks std::get_temporary_buffer, which C++17 deprecates; clang tells of it in who sorts. g++ still
# tells of what the code itself uses.
target_compile_options(hairpind_flags INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
