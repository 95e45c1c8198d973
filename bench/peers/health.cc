// A health service by gRPC C++ and its callback API, the fastest of its APIs: what ours is measured against.
// Listens on 127.0.0.1 and the port of its argument, in the clear.
#include "health.grpc.pb.h"
#include <grpcpp/grpcpp.h>

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class Service final : public Health::CallbackService {
    grpc::ServerUnaryReactor *Check(grpc::CallbackServerContext *context, const HealthCheckRequest *,
                                    HealthCheckResponse *response) override {
        response->set_status(HealthCheckResponse::SERVING);
        auto *reactor = context->DefaultReactor();
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }
};

int main(int argc, char **argv) {
    if (argc != 2) return 64;
    Service service;
    grpc::ServerBuilder builder;
    grpc::EnableDefaultHealthCheckService(false);
    builder.AddListeningPort(std::string("127.0.0.1:") + argv[1], grpc::InsecureServerCredentials());
    builder.RegisterService(&service);
    auto server = builder.BuildAndStart();
    if (!server) return 1;
    server->Wait();
}
