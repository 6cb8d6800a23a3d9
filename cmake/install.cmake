# find_package(pixelwise) gives the target pixelwise::pixelwise.
include(CMakePackageConfigHelpers)
add_library(pixelwise INTERFACE)
target_link_libraries(pixelwise INTERFACE pixelwise_app pixelwise_train pixelwise_data pixelwise_io pixelwise_models
                                          pixelwise_nn pixelwise_kernels pixelwise_core)
install(TARGETS pixelwise pixelwise_app pixelwise_train pixelwise_data pixelwise_io pixelwise_models pixelwise_nn
                pixelwise_kernels pixelwise_core
        EXPORT pixelwise-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/pixelwise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT pixelwise-targets NAMESPACE pixelwise:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pixelwise)
configure_package_config_file(cmake/pixelwise-config.cmake.in ${CMAKE_BINARY_DIR}/pixelwise-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pixelwise)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/pixelwise-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/pixelwise-config.cmake ${CMAKE_BINARY_DIR}/pixelwise-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pixelwise)
