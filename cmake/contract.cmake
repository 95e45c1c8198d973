# The contract: everything that follows from proto/. protoc-c makes the messages; our own plugin makes the registry,
# the JSON codecs and the validation (C) and the form rules (TypeScript). All of it lands in the build folder.
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_C protoc-c REQUIRED)
set(PROTO_ROOT ${CMAKE_SOURCE_DIR}/proto)
set(GEN ${CMAKE_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${GEN})

file(GLOB contract_protos CONFIGURE_DEPENDS RELATIVE ${PROTO_ROOT} ${PROTO_ROOT}/events/v1/*.proto)
# gRPC's own services: only calls and descriptors are made of them, they are no part of the contract
file(GLOB rpc_protos CONFIGURE_DEPENDS RELATIVE ${PROTO_ROOT} ${PROTO_ROOT}/grpc/*/*/*.proto)
set(message_sources "")
set(message_headers "")
foreach(proto google/protobuf/timestamp.proto google/protobuf/descriptor.proto google/protobuf/compiler/plugin.proto
        ${contract_protos} ${rpc_protos})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    if(proto MATCHES "^google/")
        set(from /usr/include/${proto})
    else()
        set(from ${PROTO_ROOT}/${proto})
    endif()
    add_custom_command(OUTPUT ${GEN}/${stem}.pb-c.c ${GEN}/${stem}.pb-c.h
        COMMAND ${PROTOC_C} -I${PROTO_ROOT} -I/usr/include --c_out=${GEN} ${from}
        DEPENDS ${from} VERBATIM)
    if(proto MATCHES "descriptor.proto|plugin.proto")
        list(APPEND plugin_messages ${GEN}/${stem}.pb-c.c)
    else()
        list(APPEND message_sources ${GEN}/${stem}.pb-c.c)
    endif()
    list(APPEND message_headers ${GEN}/${stem}.pb-c.h)
endforeach()
# options.proto imports descriptor.proto, so its messages need that too
list(APPEND message_sources ${GEN}/google/protobuf/descriptor.pb-c.c)
list(REMOVE_ITEM plugin_messages ${GEN}/google/protobuf/descriptor.pb-c.c)

add_library(contract_messages STATIC ${message_sources} ${message_headers})
target_compile_options(contract_messages PRIVATE -w)
target_include_directories(contract_messages SYSTEM PUBLIC ${GEN})
target_link_libraries(contract_messages PUBLIC lib_protobuf_c)

# protoc-gen-events runs on the build machine; it is never instrumented, so that a sanitizer's report in it cannot
# hide behind a build error.
if(EXISTS ${CMAKE_SOURCE_DIR}/codegen/CMakeLists.txt)
    add_subdirectory(codegen)
else()
    add_library(contract INTERFACE)
    target_link_libraries(contract INTERFACE contract_messages)
endif()
