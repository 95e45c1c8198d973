# The libraries of others, each as one target. Their headers count as system headers.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(events_library name package)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${package})
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE PkgConfig::${name})
endfunction()

events_library(lib_crypto libcrypto)
events_library(lib_ssl libssl)
events_library(lib_protobuf_c libprotobuf-c)
events_library(lib_xxhash libxxhash)
events_library(lib_utf8proc libutf8proc)
events_library(lib_odbc odbc)
events_library(lib_nghttp2 libnghttp2)
events_library(lib_curl libcurl)
events_library(lib_jwt libjwt)
events_library(lib_jansson jansson)
events_library(lib_argon2 libargon2)
events_library(lib_zlib zlib)
add_library(lib_wslay INTERFACE) # has no .pc file
target_link_libraries(lib_wslay INTERFACE wslay)
