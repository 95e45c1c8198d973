# Warnings are errors; release builds are hardened; EVENTS_SANITIZE is "address,undefined" or "thread".
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# The programs export nothing: jansson, which libjwt calls at run time, has functions named like ours (json_object ...),
# and an exported one of ours would be called in its place.
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g") # asserts stay on in every build
set(EVENTS_SANITIZE "" CACHE STRING "sanitizers to build with")

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
    -Wwrite-strings -Wvla -Wformat=2 -Wformat-nonliteral -Wundef -Wno-missing-field-initializers
    -fno-common -fno-strict-aliasing)

if(EVENTS_SANITIZE)
    add_compile_options(-fsanitize=${EVENTS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1) # lines for the reports, no more
    add_link_options(-fsanitize=${EVENTS_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    set(CMAKE_C_FLAGS_RELEASE "-O2 -g") # asserts stay on
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
        -fcf-protection)
    add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
    add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)
endif()
