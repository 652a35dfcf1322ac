using OutlierPipeline.Models;

namespace OutlierPipeline.Tests.Support;

/// <summary>A shipped package with two causes, told by the first two numbers of the code: without a training.</summary>
internal static class PackageWithCauses
{
    /// <summary>Fog in the direction of the first discriminant, blur in that of the second.</summary>
    public static CauseModel Causes(int profile)
    {
        float[] projection = new float[2 * profile];
        projection[0] = projection[profile + 1] = 1;
        return new CauseModel
        {
            Causes = ["fog", "blur"],
            Projection = projection,
            Normal = [0, 0],
            Directions = [1, 0, 0, 1],
            Bounds = [0.8f, 0.8f],
            Temperature = 0.1,
        };
    }

    public static ModelPackage Write(string directory)
    {
        var demo = ModelPackage.Load(Repository.StreetDemo);
        var files = ModelPackageWriter.ReadAll(demo);
        var model = ModelProto.Parser.ParseFrom(files["model.onnx"]);
        var copy = new NodeProto { OpType = "Identity", Name = "profile" };
        copy.Input.Add("latent");
        copy.Output.Add("profile");
        model.Graph.Node.Add(copy);
        var output = model.Graph.Output.Single(value => value.Name == "latent").Clone();
        output.Name = "profile";
        model.Graph.Output.Add(output);
        files["model.onnx"] = Google.Protobuf.MessageExtensions.ToByteArray(model);
        files[CauseModel.FileName] = Causes(demo.Card.Network.Latent).ToJson();
        return ModelPackageWriter.Write(directory, demo.Card, files);
    }
}
